# Pipelines, job control and traps.
set -u
seq 1 1000 | grep 7 | sed 's/7/x/g' | sort -r | head -3
printf '%s\n' b a c | sort | tee /tmp/sorted | tr a-z A-Z | paste -sd,
true | false | true; echo "${PIPESTATUS[@]}"
diff <(seq 3) <(seq 4); echo "diff $?"
coproc CAT { cat; }; echo through >&"${CAT[1]}"; read -r line <&"${CAT[0]}"; echo "$line"
eval "exec ${CAT[1]}>&-"; wait

trap 'echo usr1' USR1; trap 'echo chld-seen' EXIT
kill -USR1 $$; echo after
(trap 'echo term; exit 9' TERM; kill -TERM $BASHPID; echo not-reached); echo "subshell $?"
{ (kill -SEGV $BASHPID); echo "signal $?"; } 2>/dev/null
sleep 0.05 & wait $!; echo "waited $?"
(exit 3) & wait $!; echo "code $?"

set -m
sleep 100 & sleep 200 &
jobs | sed 's/[[:space:]]\+/ /g'
kill -STOP %1; sleep 0.2; jobs -s | sed 's/[[:space:]]\+/ /g'
kill -CONT %1; kill %1; wait %1 2>/dev/null; kill %2; wait %2 2>/dev/null
# Without a process of its own: on a busy host, bash loses those of a pipeline in $() now and then.
set +m; running=$(jobs -r); echo "jobs left: ${#running}"

# A terminal of its own: a foreground job is stopped with ^Z, goes on in the background, and is ended with ^C.
python3 - <<'END'
import os, pty, time, select, termios
pid, fd = pty.fork()
if pid == 0:
    os.environ['PS1'] = ''
    os.execvp('bash', ['bash', '--norc', '--noediting', '-i'])
out = b''
def until(mark, limit=20):
    global out
    end = time.time() + limit
    while mark not in out and time.time() < end:
        if select.select([fd], [], [], 0.1)[0]:
            try: out += os.read(fd, 4096)
            except OSError: return
    if mark not in out: print('missing', mark, out)
def type(text): os.write(fd, text)
def foreground():
    end = time.time() + 20
    while os.tcgetpgrp(fd) == pid and time.time() < end: time.sleep(0.01)
type(b'stty -echo; PS1=; PS2=; echo rea""dy\n'); until(b'ready')
type(b'sleep 300\n'); foreground(); time.sleep(0.2); type(b'\x1a'); until(b'Stopped')
type(b'bg >/dev/null; jobs -r | wc -l; echo jo""bs\n'); until(b'jobs\r\n')
type(b'fg >/dev/null\n'); foreground(); time.sleep(0.2); type(b'\x03'); time.sleep(0.1)
type(b'echo "co""de $?"\n'); until(b'code 130')
type(b'stty size; exit 5\n')
print('1\r\n' in out.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
exit 4
