//! The derives of the prelude against serde's and schemars' own: the same text read, the same text written, the same schema.
//!
//! Not tests of serde. What must hold: whatever attributes an author writes, leaving `serde` out of Cargo.toml changes nothing.

use serde_json::json;
use sexton_plugin_api::serde_json;
use sexton_plugin_api::serde_json::Value;

/// The same types, once with each set of derives.
macro_rules! types {
    () => {
        /// What to start.
        #[derive(Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        pub struct Start {
            /// Whether to wait.
            #[serde(default)]
            pub wait_for_it: bool,
            #[serde(default = "three")]
            pub tries: u32,
            #[serde(skip_serializing_if = "Option::is_none")]
            pub note: Option<String>,
            #[schemars(range(min = 1, max = 10))]
            pub weight: u8,
            pub how: How,
            pub then: Vec<Start>,
        }

        /// How to start it.
        #[derive(Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        pub enum How {
            /// At once.
            AtOnce,
            Later {
                seconds: u64,
            },
            #[serde(alias = "ask")]
            Asking(Asking),
        }

        #[derive(Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
        pub struct Asking {
            pub whom: String,
        }

        #[derive(Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
        #[serde(rename_all(serialize = "lowercase", deserialize = "lowercase"), default)]
        pub struct Settings {
            pub host: String,
            pub port: u16,
        }

        #[derive(Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
        pub struct Pair(pub u8, pub String);

        #[derive(Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
        #[serde(transparent)]
        pub struct Name(pub String);

        #[derive(Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
        #[serde(untagged)]
        pub enum Either {
            Number(i64),
            Text(String),
        }

        #[derive(Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
        pub struct Empty {}

        fn three() -> u32 {
            3
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { host: "localhost".to_owned(), port: 80 }
            }
        }

        /// What the derives make of `text` as the type `name`: written back, or the error.
        pub fn back(name: &str, text: &str) -> Result<String, String> {
            fn through<T: serde_json_de::DeserializeOwned + serde_json_ser>(text: &str) -> Result<String, String> {
                let value: T = super::serde_json::from_str(text).map_err(|e| e.to_string())?;
                super::serde_json::to_string(&value).map_err(|e| e.to_string())
            }
            use sexton_plugin_api::serde::Serialize as serde_json_ser;
            use sexton_plugin_api::serde::de as serde_json_de;
            match name {
                "Start" => through::<Start>(text),
                "How" => through::<How>(text),
                "Settings" => through::<Settings>(text),
                "Pair" => through::<Pair>(text),
                "Name" => through::<Name>(text),
                "Either" => through::<Either>(text),
                "Empty" => through::<Empty>(text),
                other => panic!("no type {other}"),
            }
        }

        pub fn schemas() -> Vec<super::Value> {
            fn of<T: sexton_plugin_api::schemars::JsonSchema>() -> super::Value {
                sexton_plugin_api::schemars::SchemaGenerator::default().into_root_schema_for::<T>().into()
            }
            vec![of::<Start>(), of::<How>(), of::<Settings>(), of::<Pair>(), of::<Name>(), of::<Either>(), of::<Empty>()]
        }
    };
}

mod ours {
    use sexton_plugin_api::prelude::*;
    types!();
}

mod theirs {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};
    types!();
}

#[test]
fn the_same_schema() {
    for (ours, theirs) in ours::schemas().into_iter().zip(theirs::schemas()) {
        assert_eq!(ours, theirs);
    }
    let start = &ours::schemas()[0];
    assert_eq!((&start["title"], &start["description"]), (&json!("Start"), &json!("What to start.")));
    assert_eq!(start["properties"]["weight"]["maximum"], 10);
}

#[test]
fn the_same_values_and_the_same_errors() {
    let cases = [
        ("Start", r#"{"weight": 2, "how": {"kind": "at_once"}, "then": []}"#),
        (
            "Start",
            r#"{"weight": 2, "how": {"kind": "later", "seconds": 4}, "then": [{"weight": 1, "how": {"kind": "ask", "whom": "me"}, "then": []}]}"#,
        ),
        ("Start", r#"{"weight": 2, "how": {"kind": "at_once"}, "then": [], "wiat": true}"#),
        ("Start", r#"{"how": {"kind": "at_once"}, "then": []}"#),
        ("Start", r#"[]"#),
        ("How", r#"{"kind": "never"}"#),
        ("How", r#"{}"#),
        ("Settings", r#"{}"#),
        ("Settings", r#"{"port": 8080}"#),
        ("Settings", r#"{"port": "x"}"#),
        ("Pair", r#"[1, "a"]"#),
        ("Pair", r#"[1]"#),
        ("Name", r#""n""#),
        ("Name", r#"1"#),
        ("Either", r#"1"#),
        ("Either", r#""t""#),
        ("Either", r#"[]"#),
        ("Empty", r#"{}"#),
        ("Empty", r#"null"#),
    ];
    let mut good = 0;
    for (name, text) in cases {
        let (ours, theirs) = (ours::back(name, text), theirs::back(name, text));
        assert_eq!(ours, theirs, "{name} from {text}");
        good += usize::from(ours.is_ok());
    }
    assert_eq!(good, 9, "some of the cases are good and some are not");
}
