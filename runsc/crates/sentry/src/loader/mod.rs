//! Loading programs: ELF (`man 5 elf`), scripts, the initial stack.
