# Python: threads, subprocess pools, sqlite3, mmap, multiprocessing, asyncio.
cat > /tmp/program.py <<'END'
import concurrent.futures, hashlib, mmap, multiprocessing, os, queue, sqlite3, subprocess, sys, tempfile, threading, asyncio

def threads():
    work, done = queue.Queue(), []
    def worker():
        while (item := work.get()) is not None:
            done.append(hashlib.sha256(str(item).encode()).hexdigest())
    pool = [threading.Thread(target=worker) for _ in range(16)]
    for t in pool: t.start()
    for i in range(500): work.put(i)
    for _ in pool: work.put(None)
    for t in pool: t.join()
    print('threads', hashlib.md5(''.join(sorted(done)).encode()).hexdigest())

def subprocesses():
    def one(i): return int(subprocess.run(['sh', '-c', f'echo $(({i} * {i}))'], capture_output=True, check=True).stdout)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        print('subprocesses', sum(pool.map(one, range(40))))
    p = subprocess.Popen(['cat'], stdin=-1, stdout=-1)
    print('cat', len(p.communicate(b'x' * 1_000_000)[0]), p.returncode)

def database():
    with sqlite3.connect('/tmp/test.db') as d:
        d.execute('pragma journal_mode=wal')
        d.execute('create table t(a integer primary key, b text)')
        d.executemany('insert into t values(?, ?)', [(i, str(i) * 5) for i in range(20000)])
    d = sqlite3.connect('/tmp/test.db')
    print('sqlite', d.execute('select count(*), sum(a), max(b) from t').fetchone(), d.execute('pragma integrity_check').fetchone())

def mapped():
    with tempfile.TemporaryFile(dir='/tmp') as f:
        f.truncate(1 << 20)
        m = mmap.mmap(f.fileno(), 1 << 20)
        m[4090:4100] = b'0123456789'
        if os.fork() == 0:
            m[0:5] = b'child'; os._exit(0)
        os.wait()
        f.seek(4090)
        print('mmap', bytes(m[0:5]), f.read(10), m.find(b'789'))

def square(n): return n * n

def processes():
    with multiprocessing.Pool(4) as pool:
        print('pool', sum(pool.map(square, range(1000), chunksize=10)))
    q, total = multiprocessing.Queue(), multiprocessing.Value('i', 0)
    def add(n):
        for _ in range(n):
            with total.get_lock(): total.value += 1
        q.put(n)
    ps = [multiprocessing.Process(target=add, args=(n * 100,)) for n in range(1, 5)]
    for p in ps: p.start()
    got = sorted(q.get() for _ in ps)
    for p in ps: p.join()
    print('shared', total.value, got, [p.exitcode for p in ps])
    for method in ('spawn', 'forkserver'):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(method, pool.map(square, range(5)))

async def events():
    async def run(i):
        p = await asyncio.create_subprocess_exec('echo', str(i), stdout=-1)
        return (await p.communicate())[0]
    print('asyncio', sorted(await asyncio.gather(*(run(i) for i in range(10))))[3])

if __name__ == '__main__':
    threads(); subprocesses(); database(); mapped(); processes(); asyncio.run(events())
    print(os.cpu_count() == len(os.sched_getaffinity(0)), os.uname().machine, os.getcwd())
    sys.exit(17)
END
exec python3 /tmp/program.py
