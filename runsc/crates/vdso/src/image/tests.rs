use super::*;

#[test]
fn version_hash_is_the_one_that_c_libraries_have() {
    assert_eq!(elf_hash(VERSION), 61_765_110);
}

#[test]
fn fits_its_pages() {
    assert_eq!(image().len(), IMAGE_LEN);
    assert!(code::bytes().len() <= PAGE);
    assert_eq!(headers_len(), EHDR_LEN + 2 * PHDR_LEN);
}

fn headers_len() -> usize {
    headers(&Section {
        at: 0,
        bytes: Vec::new(),
    })
    .len()
}
