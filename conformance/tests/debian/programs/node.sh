# node: worker threads over shared memory, processes, files, timers, cryptography and compression, a loop that the
# compiler takes, WebAssembly, streams over a unix socket, signals.
mkdir -p /tmp/node && cd /tmp/node && cat > program.js <<'END'
const { Worker, isMainThread, workerData, parentPort } = require('worker_threads');
const { execFile, fork, spawn } = require('child_process');
const { createHash, pbkdf2, randomBytes, createCipheriv, createDecipheriv, generateKeyPair, createSign, createVerify } = require('crypto');
const { promisify } = require('util');
const { pipeline } = require('stream/promises');
const { setTimeout: sleep } = require('timers/promises');
const fs = require('fs');
const net = require('net');
const os = require('os');
const zlib = require('zlib');

const sha = data => createHash('sha256').update(data).digest('hex').slice(0, 16);

async function workers() {
  const shared = new Int32Array(new SharedArrayBuffer(8));
  const results = await Promise.all([0, 1, 2, 3, 4, 5].map(n => new Promise((resolve, reject) => {
    const worker = new Worker(__filename, { workerData: { shared, n } });
    worker.on('error', reject).once('message', resolve);
  })));
  console.log('workers', results.sort((a, b) => a - b), Atomics.load(shared, 0));
}

// Counts with the others and waits for the last of them.
function work({ shared, n }) {
  for (let i = 0; i < 20000; i++) Atomics.add(shared, 0, 1);
  if (Atomics.add(shared, 1, 1) === 5) Atomics.notify(shared, 1);
  for (let seen; (seen = Atomics.load(shared, 1)) < 6;) Atomics.wait(shared, 1, seen, 50);
  parentPort.postMessage(n * n);
}

async function processes() {
  const run = promisify(execFile);
  const outputs = await Promise.all([...Array(12).keys()].map(i => run('sh', ['-c', `echo $((${i} * ${i}))`])));
  console.log('processes', outputs.map(o => Number(o.stdout)).join());
  const cat = spawn('cat');
  cat.stdin.end(Buffer.alloc(500000, 'x'));
  let length = 0;
  for await (const chunk of cat.stdout) length += chunk.length;
  const child = fork(__filename, ['child']);
  child.send({ question: 20 });
  const [answer] = await new Promise(resolve => child.once('message', (...m) => resolve(m)));
  const killed = spawn('sleep', ['1000']);
  killed.kill('SIGKILL');
  console.log(length, answer, await new Promise(resolve => killed.on('exit', (...how) => resolve(how))));
}

async function files() {
  const dir = await fs.promises.mkdtemp(os.tmpdir() + '/files-');
  await Promise.all([...Array(100).keys()].map(async i => {
    const name = `${dir}/file-${i}`;
    await fs.promises.writeFile(name, String(i).repeat(i * 10));
    await fs.promises.rename(name, name + '.txt');
  }));
  const names = (await fs.promises.readdir(dir)).sort();
  const texts = await Promise.all(names.map(name => fs.promises.readFile(`${dir}/${name}`)));
  const seen = new Promise(resolve => { const w = fs.watch(dir, (event, name) => { w.close(); resolve(name); }); });
  await fs.promises.writeFile(`${dir}/watched`, '');
  console.log('files', names.length, sha(Buffer.concat(texts)), await seen);
  await fs.promises.rm(dir, { recursive: true });
  console.log(await fs.promises.stat(dir).catch(error => error.code));
}

async function timers() {
  const order = [];
  const start = process.hrtime.bigint();
  await Promise.all([300, 100, 200].map(ms => sleep(ms).then(() => order.push(ms))));
  setImmediate(() => order.push('immediate'));
  process.nextTick(() => order.push('tick'));
  await sleep(5);
  let ticks = 0;
  await new Promise(resolve => { const each = setInterval(() => ++ticks === 20 && resolve(clearInterval(each)), 2); });
  console.log('timers', order, ticks, process.hrtime.bigint() - start >= 340000000n);
}

async function cryptography() {
  const keys = await Promise.all([1, 2, 3, 4, 5, 6].map(n => promisify(pbkdf2)('password', 'salt' + n, 5000, 32, 'sha512')));
  const key = Buffer.alloc(32, 1), iv = Buffer.alloc(16, 2), text = Buffer.alloc(1 << 20, 'text');
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  const secret = Buffer.concat([cipher.update(text), cipher.final()]);
  const decipher = createDecipheriv('aes-256-gcm', key, iv).setAuthTag(cipher.getAuthTag());
  const same = Buffer.concat([decipher.update(secret), decipher.final()]).equals(text);
  const pair = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
  const signed = createSign('sha256').update('x').sign(pair.privateKey);
  const packed = await promisify(zlib.gzip)(text);
  console.log('crypto', keys.map(sha).join(), sha(secret), same, randomBytes(32).length,
    createVerify('sha256').update('x').verify(pair.publicKey, signed), zlib.gunzipSync(packed).equals(text),
    zlib.brotliDecompressSync(zlib.brotliCompressSync(secret.subarray(0, 10000))).length);
}

// Hot with integers, then with what undoes the compiled code.
function hot() {
  const add = (a, b) => a.v + b.v;
  let sum = 0, x = 1;
  for (let i = 0; i < 5e6; i++) { x = (Math.imul(x, 1103515245) + 12345) | 0; sum = (sum + add({ v: x & 7 }, { v: i & 7 })) | 0; }
  for (let i = 0; i < 1e5; i++) sum += add({ w: 1, v: 0.5 }, { v: 0.25 });
  const made = [];
  for (let i = 0; i < 300; i++) made.push(new Function('n', `let s = ${i}; for (let k = 0; k < n; k++) s += k ^ ${i}; return s;`)(2000));
  const garbage = [];
  for (let i = 0; i < 3e5; i++) garbage[i % 1000] = { i, text: 'n' + i, more: [i] };
  // (func (param i32) (result i32)): the parameter times itself, plus one.
  const code = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0,
    10, 12, 1, 10, 0, 32, 0, 32, 0, 108, 65, 1, 106, 11]);
  const { f } = new WebAssembly.Instance(new WebAssembly.Module(code)).exports;
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 100 });
  memory.grow(50);
  console.log('hot', sum, sha(made.join()), garbage.length, f(9), memory.buffer.byteLength);
  const deep = n => deep(n + 1) + 1;
  try { deep(0); } catch (error) { console.log(error.name); }
}

async function sockets() {
  const server = net.createServer(socket => pipeline(socket, zlib.createGzip(), socket).catch(() => {}));
  server.on('connection', socket => socket.allowHalfOpen = true);
  await new Promise(resolve => server.listen('/tmp/node/socket', resolve));
  const lengths = await Promise.all([...Array(8).keys()].map(async n => {
    const socket = net.connect({ path: '/tmp/node/socket', allowHalfOpen: true });
    socket.end(Buffer.alloc(200000 + n, 'streams '));
    let length = 0;
    for await (const chunk of socket.pipe(zlib.createGunzip())) length += chunk.length;
    return length;
  }));
  server.close();
  const error = await new Promise(resolve => net.connect('/tmp/node/none').on('error', resolve));
  console.log('sockets', lengths.join(), error.code);
}

async function signals() {
  const caught = [];
  for (const name of ['SIGUSR2', 'SIGHUP']) {
    const arrived = new Promise(resolve => process.once(name, resolve));
    // A handler alone does not keep the loop going.
    const alive = setInterval(() => {}, 1000);
    process.kill(process.pid, name);
    caught.push(await arrived);
    clearInterval(alive);
  }
  console.log('signals', caught);
}

async function main() {
  for (const part of [workers, processes, files, timers, cryptography, hot, sockets, signals]) await part();
  process.exit(31);
}

if (!isMainThread) work(workerData);
else if (process.argv[2] === 'child') process.once('message', m => process.send({ answer: m.question + 1 }, () => process.disconnect()));
else main();
END
exec node program.js
