# Go: compiled and run here. Goroutines over all processors, preemption of loops without calls (SIGURG), channels, timers,
# garbage collection, files, processes, unix sockets, signals.
mkdir -p /tmp/go && cd /tmp/go && cat > main.go <<'END'
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	return value
}

// Eight workers take numbers from one channel and give sums to another.
func channels() {
	in, out := make(chan int), make(chan int, 4)
	var workers sync.WaitGroup
	for w := 0; w < 8; w++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for n := range in {
				out <- n * n
			}
		}()
	}
	go func() {
		for n := 0; n < 5000; n++ {
			in <- n
		}
		close(in)
		workers.Wait()
		close(out)
	}()
	sum := 0
	for n := range out {
		sum += n
	}
	fmt.Println("channels", sum)
}

// More loops without a call than there are processors: only a signal takes one away from them.
func preemption() {
	var stop, started int32
	loops := runtime.GOMAXPROCS(0) * 2
	done := make(chan bool)
	for i := 0; i < loops; i++ {
		go func() {
			atomic.AddInt32(&started, 1)
			for atomic.LoadInt32(&stop) == 0 {
			}
			done <- true
		}()
	}
	for atomic.LoadInt32(&started) < int32(loops) {
		time.Sleep(time.Millisecond)
	}
	runtime.GC()
	atomic.StoreInt32(&stop, 1)
	for i := 0; i < loops; i++ {
		<-done
	}
	fmt.Println("preemption", loops >= 2)
}

type node struct {
	left, right *node
	load        [40]byte
}

func tree(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{left: tree(depth - 1), right: tree(depth - 1)}
}

func (n *node) count() int {
	if n == nil {
		return 0
	}
	return 1 + n.left.count() + n.right.count()
}

// Four goroutines make garbage while one tree stays.
func collection() {
	kept := tree(14)
	var makers sync.WaitGroup
	for m := 0; m < 4; m++ {
		makers.Add(1)
		go func() {
			defer makers.Done()
			for i := 0; i < 30; i++ {
				if tree(10).count() != 2047 {
					fmt.Println("a tree lost nodes")
				}
			}
		}()
	}
	makers.Wait()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Println("collection", kept.count(), stats.NumGC > 1)
}

func timers() {
	start := time.Now()
	order := make(chan int, 3)
	for _, n := range []int{3, 1, 2} {
		n := n
		time.AfterFunc(time.Duration(n)*100*time.Millisecond, func() { order <- n })
	}
	first, second, third := <-order, <-order, <-order
	ticker := time.NewTicker(2 * time.Millisecond)
	for i := 0; i < 20; i++ {
		<-ticker.C
	}
	ticker.Stop()
	select {
	case <-order:
	case <-time.After(10 * time.Millisecond):
		fmt.Println("timers", first, second, third, time.Since(start) >= 340*time.Millisecond)
	}
}

func files() {
	dir := must(os.MkdirTemp("", "files"))
	var writers sync.WaitGroup
	for i := 0; i < 64; i++ {
		i := i
		writers.Add(1)
		go func() {
			defer writers.Done()
			name := filepath.Join(dir, fmt.Sprintf("file-%02d", i))
			os.WriteFile(name, bytes.Repeat([]byte{byte('a' + i%26)}, 1000*i), 0o600)
			os.Rename(name, name+".done")
		}()
	}
	writers.Wait()
	sum := sha256.New()
	filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if info.Mode().IsRegular() {
			fmt.Fprintln(sum, info.Name(), info.Size(), info.Mode())
			sum.Write(must(os.ReadFile(path)))
		}
		return err
	})
	fmt.Printf("files %x\n", sum.Sum(nil)[:8])
	_, err := os.Open(filepath.Join(dir, "none"))
	fmt.Println(os.IsNotExist(err), os.RemoveAll(dir))
}

func processes() {
	var started sync.WaitGroup
	results := make([]string, 16)
	for i := range results {
		i := i
		started.Add(1)
		go func() {
			defer started.Done()
			results[i] = string(must(exec.Command("sh", "-c", fmt.Sprintf("echo -n $((%d * 3))", i)).Output()))
		}()
	}
	started.Wait()
	fmt.Println("processes", results)
	cat := exec.Command("cat")
	cat.Stdin = bytes.NewReader(make([]byte, 300000))
	fmt.Println(len(must(cat.Output())), exec.Command("sh", "-c", "exit 3").Run(), exec.Command("sh", "-c", "kill -9 $$").Run())
}

// A server on a unix socket and 16 clients, a line each way a hundred times.
func sockets() {
	listener := must(net.Listen("unix", "/tmp/go/socket"))
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go io.Copy(connection, connection)
		}
	}()
	var clients sync.WaitGroup
	var bytes int64
	for c := 0; c < 16; c++ {
		clients.Add(1)
		go func() {
			defer clients.Done()
			connection := must(net.Dial("unix", "/tmp/go/socket"))
			defer connection.Close()
			lines := bufio.NewReader(connection)
			for i := 0; i < 100; i++ {
				fmt.Fprintf(connection, "line %d\n", i)
				atomic.AddInt64(&bytes, int64(len(must(lines.ReadString('\n')))))
			}
		}()
	}
	clients.Wait()
	silent := must(net.Dial("unix", "/tmp/go/socket"))
	silent.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	_, err := silent.Read(make([]byte, 1))
	listener.Close()
	_, refused := net.Dial("unix", "/tmp/go/socket")
	fmt.Println("sockets", bytes, os.IsTimeout(err), refused)
}

func signals() {
	caught := make(chan os.Signal, 10)
	signal.Notify(caught, syscall.SIGUSR1, syscall.SIGTERM)
	self := must(os.FindProcess(os.Getpid()))
	for _, number := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGTERM} {
		self.Signal(number)
		fmt.Println("signal", <-caught)
	}
	defer func() { fmt.Println("recovered", recover()) }()
	var nothing *node
	fmt.Println(nothing.left)
}

func main() {
	runtime.GOMAXPROCS(max(4, runtime.NumCPU()))
	for _, part := range []func(){channels, preemption, collection, timers, files, processes, sockets, signals} {
		part()
	}
	os.Exit(23)
}

func max(a, b int) int {
	if a > b {
		return a
	}
	return b
}
END
export GOCACHE=/tmp/go/cache GO111MODULE=off CGO_ENABLED=0
go vet main.go && go build -o program main.go || exit 1
exec ./program
