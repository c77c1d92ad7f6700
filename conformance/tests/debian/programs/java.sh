# Java: compiled and run here. Threads, executors, a loop that the compiler takes, garbage collection, files, processes,
# unix sockets, implicit null checks (SIGSEGV handled by the virtual machine), stack overflow into guard pages.
mkdir -p /tmp/java && cd /tmp/java && cat > Program.java <<'END'
import java.io.*;
import java.net.*;
import java.nio.*;
import java.nio.channels.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.security.MessageDigest;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.concurrent.locks.*;
import java.util.stream.*;

public class Program {
    static void threads() throws Exception {
        var lock = new ReentrantLock();
        var turn = lock.newCondition();
        int[] next = {0};
        var order = new StringBuilder();
        var threads = new ArrayList<Thread>();
        for (int i = 0; i < 20; i++) {
            int mine = i;
            threads.add(new Thread(() -> {
                lock.lock();
                try {
                    while (next[0] != mine) turn.awaitUninterruptibly();
                    order.append(mine).append(' ');
                    next[0]++;
                    turn.signalAll();
                } finally { lock.unlock(); }
            }));
        }
        threads.forEach(Thread::start);
        for (var thread : threads) thread.join();
        var sleeper = new Thread(() -> {
            try { Thread.sleep(100_000); } catch (InterruptedException e) { order.append("interrupted"); }
        });
        sleeper.start();
        sleeper.interrupt();
        sleeper.join();
        System.out.println("threads " + order);
    }

    static void executors() throws Exception {
        var pool = Executors.newFixedThreadPool(8);
        var futures = new ArrayList<Future<Long>>();
        for (int i = 0; i < 200; i++) {
            long n = i;
            futures.add(pool.submit(() -> LongStream.rangeClosed(0, n).map(x -> x * x).sum()));
        }
        long total = 0;
        for (var future : futures) total += future.get();
        pool.shutdown();
        var timer = Executors.newScheduledThreadPool(2);
        var ticks = new CountDownLatch(10);
        timer.scheduleAtFixedRate(ticks::countDown, 0, 3, TimeUnit.MILLISECONDS);
        ticks.await();
        timer.shutdownNow();
        var map = new ConcurrentHashMap<Integer, LongAdder>();
        IntStream.range(0, 50_000).parallel().forEach(i -> map.computeIfAbsent(i % 97, k -> new LongAdder()).increment());
        System.out.println("executors " + total + " " + pool.awaitTermination(9, TimeUnit.SECONDS) + " " + map.size() + " "
            + map.values().stream().mapToLong(LongAdder::sum).sum()
            + " " + CompletableFuture.supplyAsync(() -> 20).thenCombine(CompletableFuture.supplyAsync(() -> 3), Integer::sum).get());
    }

    interface Shape { double area(int i); }

    /// Hot enough for every tier; a class that comes later undoes what the compiler assumed.
    static void hot() {
        Shape[] shapes = {i -> i * 0.5, i -> i * 0.5, null};
        double sum = 0;
        for (int round = 0; round < 3_000_000; round++) {
            if (round == 2_000_000) shapes[1] = new Shape() { public double area(int i) { return i + 1; } };
            sum += shapes[round & 1].area(round & 1023);
        }
        long hash = 7;
        for (int i = 0; i < 20_000_000; i++) hash = hash * 31 + (hash >>> 7) + i;
        int faults = 0;
        for (int i = 0; i < 20_000; i++) {
            try { shapes[i % 3].area(i); } catch (NullPointerException e) { faults++; }
        }
        System.out.println("hot " + sum + " " + hash + " " + faults);
    }

    static int deep(int n) { return deep(n + 1) + 1; }

    static void overflow() throws Exception {
        int[] caught = {0};
        for (int i = 0; i < 5; i++) {
            var thread = new Thread(() -> { try { deep(0); } catch (StackOverflowError e) { caught[0]++; } });
            thread.start();
            thread.join();
        }
        System.out.println("overflow " + caught[0]);
    }

    static void garbage() {
        var kept = new HashMap<Integer, byte[]>();
        var random = new Random(1);
        for (int i = 0; i < 60_000; i++) kept.put(random.nextInt(500), new byte[random.nextInt(16_384)]);
        var weak = new java.lang.ref.WeakReference<>(new Object());
        System.gc();
        try { byte[][] much = new byte[1000][]; for (int i = 0; i < 1000; i++) much[i] = new byte[10 << 20]; }
        catch (OutOfMemoryError e) { System.out.println("out of memory"); }
        System.out.println("garbage " + kept.size() + " " + kept.values().stream().mapToInt(b -> b.length).sum() + " " + (weak.get() == null));
    }

    static void files() throws Exception {
        var dir = Files.createTempDirectory("files");
        for (int i = 0; i < 100; i++) Files.writeString(dir.resolve("file-" + i), "text ".repeat(i));
        var digest = MessageDigest.getInstance("SHA-256");
        try (var list = Files.list(dir)) {
            for (var path : list.sorted().toList()) digest.update(Files.readAllBytes(path));
        }
        var big = dir.resolve("mapped");
        try (var channel = FileChannel.open(big, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            var map = channel.map(FileChannel.MapMode.READ_WRITE, 0, 1 << 20);
            for (int i = 0; i < 1 << 18; i++) map.putInt(i * 4, i);
            map.force();
            var buffer = ByteBuffer.allocate(4);
            channel.read(buffer, 400_000);
            System.out.println("mapped " + buffer.getInt(0) + " " + channel.size() + " " + (channel.tryLock() != null));
        }
        Files.move(big, dir.resolve("moved"), StandardCopyOption.ATOMIC_MOVE);
        System.out.printf("files %x %s%n", new java.math.BigInteger(1, digest.digest()), Files.isRegularFile(dir.resolve("moved")));
        try { Files.createDirectory(dir); } catch (FileAlreadyExistsException e) { System.out.println("exists"); }
    }

    static void processes() throws Exception {
        var pool = Executors.newFixedThreadPool(4);
        var outputs = new ArrayList<Future<String>>();
        for (int i = 0; i < 12; i++) {
            int n = i;
            outputs.add(pool.submit(() -> {
                var process = new ProcessBuilder("sh", "-c", "echo $((" + n + " * 7)); exit " + n).redirectErrorStream(true).start();
                return new String(process.getInputStream().readAllBytes()).trim() + "/" + process.waitFor();
            }));
        }
        var all = new ArrayList<String>();
        for (var output : outputs) all.add(output.get());
        pool.shutdown();
        var sleeper = new ProcessBuilder("sleep", "1000").start();
        sleeper.destroy();
        System.out.println("processes " + all + " " + sleeper.waitFor() + " " + sleeper.isAlive());
    }

    static void sockets() throws Exception {
        var address = UnixDomainSocketAddress.of("/tmp/java/socket");
        try (var server = ServerSocketChannel.open(StandardProtocolFamily.UNIX); var selector = Selector.open()) {
            server.bind(address).configureBlocking(false);
            server.register(selector, SelectionKey.OP_ACCEPT);
            var echo = new Thread(() -> { try { serve(selector); } catch (IOException | ClosedSelectorException e) { } });
            echo.start();
            long bytes = 0;
            for (int c = 0; c < 10; c++) {
                try (var client = SocketChannel.open(address)) {
                    for (int i = 0; i < 50; i++) {
                        client.write(StandardCharsets.UTF_8.encode("message " + i));
                        bytes += client.read(ByteBuffer.allocate(100));
                    }
                }
            }
            System.out.println("sockets " + bytes);
            selector.close();
            echo.join();
        }
        Files.delete(Path.of("/tmp/java/socket"));
    }

    static void serve(Selector selector) throws IOException {
        var buffer = ByteBuffer.allocate(1000);
        while (selector.select() >= 0) {
            for (var key : selector.selectedKeys()) {
                if (key.isAcceptable()) {
                    var client = ((ServerSocketChannel) key.channel()).accept();
                    client.configureBlocking(false).register(selector, SelectionKey.OP_READ);
                    continue;
                }
                var client = (SocketChannel) key.channel();
                if (client.read(buffer.clear()) < 0) client.close();
                else client.write(buffer.flip());
            }
            selector.selectedKeys().clear();
        }
    }

    public static void main(String[] args) throws Exception {
        threads(); executors(); hot(); overflow(); garbage(); files(); processes(); sockets();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook")));
        System.exit(29);
    }
}
END
javac -Xlint:all,-try -proc:none Program.java || exit 1
java -Xmx200m -XX:+UseSerialGC Program > serial || [ $? = 29 ] || exit 1
java -Xmx200m -XX:+UseG1GC Program > g1; code=$?
cmp serial g1 && cat g1
exit $code
