//! The numbers of the ELF specification that the checks speak of, as plain integers.
//!
//! Not a complete list. What must hold: names and values are those of the System V ABI and the GNU extensions.

pub(super) const ELFCLASS32: u8 = 1;
pub(super) const ELFCLASS64: u8 = 2;
pub(super) const ELFDATA2LSB: u8 = 1;
pub(super) const ELFDATA2MSB: u8 = 2;

pub(super) const ET_REL: u16 = 1;
pub(super) const ET_EXEC: u16 = 2;
pub(super) const ET_DYN: u16 = 3;
pub(super) const ET_CORE: u16 = 4;

pub(super) const EM_386: u16 = 3;
pub(super) const EM_MIPS: u16 = 8;
pub(super) const EM_PPC64: u16 = 21;
pub(super) const EM_S390: u16 = 22;
pub(super) const EM_ARM: u16 = 40;
pub(super) const EM_X86_64: u16 = 62;
pub(super) const EM_AARCH64: u16 = 183;
pub(super) const EM_RISCV: u16 = 243;
pub(super) const EM_LOONGARCH: u16 = 258;

pub(super) const PT_NULL: u32 = 0;
pub(super) const PT_LOAD: u32 = 1;
pub(super) const PT_DYNAMIC: u32 = 2;
pub(super) const PT_PHDR: u32 = 6;
pub(super) const PT_TLS: u32 = 7;
pub(super) const PT_GNU_STACK: u32 = 0x6474_e551;
pub(super) const PT_GNU_RELRO: u32 = 0x6474_e552;
pub(super) const PF_X: u32 = 1;
pub(super) const PF_W: u32 = 2;

pub(super) const DT_NULL: i64 = 0;
pub(super) const DT_NEEDED: i64 = 1;
pub(super) const DT_PLTRELSZ: i64 = 2;
pub(super) const DT_PLTGOT: i64 = 3;
pub(super) const DT_STRTAB: i64 = 5;
pub(super) const DT_SYMTAB: i64 = 6;
pub(super) const DT_RELA: i64 = 7;
pub(super) const DT_RELASZ: i64 = 8;
pub(super) const DT_RELAENT: i64 = 9;
pub(super) const DT_STRSZ: i64 = 10;
pub(super) const DT_SYMENT: i64 = 11;
pub(super) const DT_INIT: i64 = 12;
pub(super) const DT_FINI: i64 = 13;
pub(super) const DT_SONAME: i64 = 14;
pub(super) const DT_RPATH: i64 = 15;
pub(super) const DT_REL: i64 = 17;
pub(super) const DT_PLTREL: i64 = 20;
pub(super) const DT_TEXTREL: i64 = 22;
pub(super) const DT_JMPREL: i64 = 23;
pub(super) const DT_INIT_ARRAY: i64 = 25;
pub(super) const DT_FINI_ARRAY: i64 = 26;
pub(super) const DT_INIT_ARRAYSZ: i64 = 27;
pub(super) const DT_FINI_ARRAYSZ: i64 = 28;
pub(super) const DT_RUNPATH: i64 = 29;
pub(super) const DT_FLAGS: i64 = 30;
pub(super) const DT_RELRSZ: i64 = 35;
pub(super) const DT_RELR: i64 = 36;
pub(super) const DT_GNU_HASH: i64 = 0x6fff_fef5;
pub(super) const DT_DEPAUDIT: i64 = 0x6fff_fefb;
pub(super) const DT_AUDIT: i64 = 0x6fff_fefc;
pub(super) const DT_VERSYM: i64 = 0x6fff_fff0;
pub(super) const DT_RELACOUNT: i64 = 0x6fff_fff9;
pub(super) const DT_FLAGS_1: i64 = 0x6fff_fffb;
pub(super) const DT_VERDEF: i64 = 0x6fff_fffc;
pub(super) const DT_VERNEED: i64 = 0x6fff_fffe;
pub(super) const DT_AUXILIARY: i64 = 0x7fff_fffd;
pub(super) const DT_FILTER: i64 = 0x7fff_ffff;
pub(super) const DF_TEXTREL: u64 = 4;
pub(super) const DF_1_NODELETE: u64 = 8;
pub(super) const DF_1_PIE: u64 = 0x0800_0000;

pub(super) const SHN_UNDEF: u16 = 0;
/// Indices from here on are no sections (absolute, common …).
pub(super) const SHN_LORESERVE: u16 = 0xff00;
pub(super) const STB_LOCAL: u8 = 0;
pub(super) const STB_GNU_UNIQUE: u8 = 10;
pub(super) const STT_TLS: u8 = 6;
pub(super) const STT_GNU_IFUNC: u8 = 10;

pub(super) const R_X86_64_NONE: u32 = 0;
pub(super) const R_X86_64_64: u32 = 1;
pub(super) const R_X86_64_GLOB_DAT: u32 = 6;
pub(super) const R_X86_64_JUMP_SLOT: u32 = 7;
pub(super) const R_X86_64_RELATIVE: u32 = 8;
pub(super) const R_X86_64_DTPMOD64: u32 = 16;
pub(super) const R_X86_64_DTPOFF64: u32 = 17;
pub(super) const R_X86_64_TPOFF64: u32 = 18;
pub(super) const R_X86_64_TLSDESC: u32 = 36;
pub(super) const R_X86_64_IRELATIVE: u32 = 37;

pub(super) const R_AARCH64_NONE: u32 = 0;
pub(super) const R_AARCH64_ABS64: u32 = 257;
pub(super) const R_AARCH64_GLOB_DAT: u32 = 1025;
pub(super) const R_AARCH64_JUMP_SLOT: u32 = 1026;
pub(super) const R_AARCH64_RELATIVE: u32 = 1027;
pub(super) const R_AARCH64_TLS_DTPMOD: u32 = 1028;
pub(super) const R_AARCH64_TLS_DTPREL: u32 = 1029;
pub(super) const R_AARCH64_TLS_TPREL: u32 = 1030;
pub(super) const R_AARCH64_TLSDESC: u32 = 1031;
pub(super) const R_AARCH64_IRELATIVE: u32 = 1032;
