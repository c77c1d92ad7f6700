//! Real programs in a Debian root file system, with the output that they have on Linux.

use std::time::Duration;

use fixtures::bundle::Bundle;
use fixtures::command;
use fixtures::container::Container;
use rstest::rstest;

/// What a script prints under Debian's bash, and its exit code.
fn bash(script: &str) -> (String, i32) {
    let bundle = Bundle::debian(&["bash", "-c", script]).unwrap();
    let container = Container::new(bundle).unwrap();
    let output = command::run(&mut container.run_command(&[]), Duration::from_secs(120)).unwrap();
    (format!("{}{}", output.stdout, output.stderr), output.code)
}

#[rstest]
#[case::pipeline("seq 1 1000 | grep 7 | awk '{ s += $1 } END { print s }'", "157842\n")]
#[case::traps(
    "trap 'echo bye' EXIT; trap 'echo usr1' USR1; kill -USR1 $$; echo end",
    "usr1\nend\nbye\n"
)]
#[case::process_substitution("diff <(echo one) <(echo one) && echo same", "same\n")]
#[case::here_document("cat <<END\nsome text\nEND", "some text\n")]
#[case::background_wait("sleep 0.1 & wait $!; echo $?; (exit 3) & wait $!; echo $?", "0\n3\n")]
#[case::pipe_status("true | false | true; echo ${PIPESTATUS[@]}", "0 1 0\n")]
#[case::tar(
    "cd /tmp && mkdir d && for i in $(seq 500); do echo $i >d/$i; done && tar czf d.tgz d && mkdir e && \
     tar xzf d.tgz -C e && diff -r d e/d && find e -type f | wc -l",
    "500\n"
)]
#[case::coreutils(
    "cd /tmp && printf 'b\\na\\nc\\n' >f && sort f | tr a-z A-Z | paste -sd, && wc -c f && sha256sum f | cut -c1-16",
    "A,B,C\n6 f\naf8fcee01ae24dc6\n"
)]
#[case::perl(
    "perl -e 'my %h = map { $_ => $_ ** 2 } 1 .. 5; print join(\",\", map { $h{$_} } sort keys %h), \"\\n\"'",
    "1,4,9,16,25\n"
)]
fn shell_program(#[case] script: &str, #[case] expected: &str) {
    let (output, code) = bash(script);
    assert_eq!((output.as_str(), code), (expected, 0));
}

#[rstest]
#[case::threads(
    "import threading\nl=[]\nt=[threading.Thread(target=lambda i=i: l.append(i*i)) for i in range(20)]\n\
     [x.start() for x in t]; [x.join() for x in t]\nprint(sum(l))",
    "2470\n"
)]
#[case::subprocess_pool(
    "from multiprocessing import Pool\nimport math\nif __name__ == '__main__':\n  \
     with Pool(4) as p: print(sum(p.map(math.factorial, range(10))))",
    "409114\n"
)]
#[case::sqlite(
    "import sqlite3\nd=sqlite3.connect('/tmp/x.db'); d.execute('create table t(a)')\n\
     d.executemany('insert into t values(?)', [(i,) for i in range(1000)]); d.commit()\n\
     print(d.execute('select sum(a) from t').fetchone()[0])",
    "499500\n"
)]
#[case::mmap(
    "import mmap\nf=open('/tmp/m','w+b'); f.truncate(8192); m=mmap.mmap(f.fileno(),8192)\n\
     m[5000:5005]=b'hello'; m.flush(); f.seek(5000); print(f.read(5).decode())",
    "hello\n"
)]
#[case::asyncio(
    "import asyncio\nasync def main():\n  p = await asyncio.create_subprocess_exec('echo','hi',stdout=-1)\n  \
     o,_ = await p.communicate()\n  print(o.decode().strip(), p.returncode)\nasyncio.run(main())",
    "hi 0\n"
)]
fn python_program(#[case] program: &str, #[case] expected: &str) {
    let bundle = Bundle::debian(&["python3", "-c", program]).unwrap();
    let container = Container::new(bundle).unwrap();
    let output = command::run(&mut container.run_command(&[]), Duration::from_secs(120)).unwrap();
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str(), output.code),
        (expected, "", 0)
    );
}

#[rstest]
fn compiler_and_threads() {
    let script = r#"cd /tmp && cat >t.c <<'END'
#include <pthread.h>
#include <stdio.h>
static void *square(void *p) { *(long *)p *= *(long *)p; return 0; }
int main(void) {
    pthread_t t[8]; long v[8], sum = 0;
    for (int i = 0; i < 8; i++) { v[i] = i; pthread_create(&t[i], 0, square, &v[i]); }
    for (int i = 0; i < 8; i++) { pthread_join(t[i], 0); sum += v[i]; }
    printf("%ld\n", sum);
    return 0;
}
END
gcc -O2 -pthread -o t t.c && ./t"#;
    assert_eq!(bash(script), ("140\n".to_owned(), 0));
}

#[rstest]
fn crash_is_139() {
    assert_eq!(
        bash("python3 -c 'import ctypes; ctypes.string_at(0)' 2>/dev/null; exit $?").1,
        139
    );
}

#[rstest]
fn process_and_memory_listings() {
    let (output, code) = bash(
        "ps aux | awk '{ print $11 }'; free -m | head -2 | tail -1 | awk '{ print ($2 > 0) }'; id -un",
    );
    assert_eq!(code, 0);
    assert!(
        output.starts_with("COMMAND\nbash\n") && output.ends_with("1\nroot\n"),
        "{output}"
    );
}
