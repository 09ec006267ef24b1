// The same micro-benchmarks in Go: a goroutine stands where the others have a loop, a channel where they have an inbox.
//
// Usage: peer CASE COUNT PENDING. Prints nanoseconds per operation. `peer echo HOST PORT` is the echo server.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// A goroutine runs what another one sends it as fast as it can.
func flood(count int) time.Duration {
	inbox := make(chan func(), 1024)
	done := make(chan int)
	go func() {
		ran := 0
		for job := range inbox {
			job()
			ran++
		}
		done <- ran
	}()
	counter := 0
	start := time.Now()
	for i := 0; i < count; i++ {
		inbox <- func() { counter++ }
	}
	close(inbox)
	if ran := <-done; ran != count || counter != count {
		fail(fmt.Sprintf("%d of %d jobs ran", counter, count))
	}
	return time.Since(start)
}

// Two goroutines wake each other in turn. The runtime puts both on one thread when it can, so no thread is woken.
func roundTrip(count int) time.Duration {
	there, back := make(chan struct{}), make(chan struct{})
	go func() {
		for range there {
			back <- struct{}{}
		}
	}()
	start := time.Now()
	for i := 0; i < count; i++ {
		there <- struct{}{}
		<-back
	}
	elapsed := time.Since(start)
	close(there)
	return elapsed
}

// A timer due before all that wait is started and stopped again.
func timers(pending, count int) time.Duration {
	waiting := make([]*time.Timer, 0, pending)
	state := uint32(1)
	for i := 0; i < pending; i++ {
		state = state*1664525 + 1013904223
		delay := 1800000 + (state>>10)%3600000
		waiting = append(waiting, time.AfterFunc(time.Duration(delay)*time.Millisecond, func() {}))
	}
	start := time.Now()
	for i := 0; i < count; i++ {
		time.AfterFunc(time.Second, func() {}).Stop()
	}
	elapsed := time.Since(start)
	for _, timer := range waiting {
		timer.Stop()
	}
	return elapsed
}

// Goroutines that all sleep once, each for a tenth of a second up to 1.1 seconds. Returns the processor time of one, or
// how late the latest but one in a hundred was, in nanoseconds.
func sleepers(count int, lateness bool) float64 {
	before := cpuTime()
	late := make([]int64, count)
	var all sync.WaitGroup
	state := uint32(1)
	for i := 0; i < count; i++ {
		state = state*1664525 + 1013904223
		delay := time.Duration(100000+(state>>8)%1000000) * time.Microsecond
		all.Add(1)
		go func(place int) {
			due := time.Now().Add(delay)
			time.Sleep(delay)
			late[place] = int64(time.Since(due))
			all.Done()
		}(i)
	}
	all.Wait()
	if lateness {
		sort.Slice(late, func(a, b int) bool { return late[a] < late[b] })
		return float64(late[count*99/100])
	}
	return float64(cpuTime()-before) / float64(count)
}

// A goroutine is started and its result awaited.
func spawn(count int) time.Duration {
	start := time.Now()
	for i := 0; i < count; i++ {
		result := make(chan int, 1)
		go func() { result <- 1 }()
		<-result
	}
	return time.Since(start)
}

// A hundred goroutines are started and all of them awaited.
func gather(count int) time.Duration {
	start := time.Now()
	for i := 0; i < count/100; i++ {
		results := make([]int, 100)
		var all sync.WaitGroup
		all.Add(100)
		for place := 0; place < 100; place++ {
			go func(place int) {
				results[place] = 1
				all.Done()
			}(place)
		}
		all.Wait()
	}
	return time.Since(start)
}

func giveWay(count int) time.Duration {
	start := time.Now()
	for i := 0; i < count; i++ {
		runtime.Gosched()
	}
	return time.Since(start)
}

// One goroutine puts, another gets.
func queue(count int) time.Duration {
	items := make(chan int, 100)
	done := make(chan struct{})
	start := time.Now()
	go func() {
		for i := 0; i < count; i++ {
			<-items
		}
		close(done)
	}()
	for i := 0; i < count; i++ {
		items <- i
	}
	<-done
	return time.Since(start)
}

func queueRoundTrip(count int) time.Duration {
	there, back := make(chan int, 1), make(chan int, 1)
	go func() {
		for value := range there {
			back <- value
		}
	}()
	start := time.Now()
	for i := 0; i < count; i++ {
		there <- i
		<-back
	}
	elapsed := time.Since(start)
	close(there)
	return elapsed
}

func cpuTime() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fail(err.Error())
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func fail(reason string) {
	fmt.Fprintln(os.Stderr, "go peer:", reason)
	os.Exit(1)
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil || value < 0 {
		fail("not a count: " + text)
	}
	return value
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == "echo" {
		// On the one core that it is measured on.
		runtime.GOMAXPROCS(1)
		echo(os.Args[2], os.Args[3])
		return
	}
	if len(os.Args) != 4 {
		fail("usage: peer CASE COUNT PENDING")
	}
	count, pending := number(os.Args[2]), number(os.Args[3])
	var elapsed time.Duration
	switch os.Args[1] {
	case "micro-flood":
		elapsed = flood(count)
	case "micro-round-trip":
		elapsed = roundTrip(count)
	case "micro-timer", "micro-timer-10000":
		elapsed = timers(pending, count)
	case "task-loop-spawn", "task-eager-spawn":
		runtime.GOMAXPROCS(1)
		elapsed = spawn(count)
	case "task-gather":
		runtime.GOMAXPROCS(1)
		elapsed = gather(count)
	case "task-our-yield":
		runtime.GOMAXPROCS(1)
		elapsed = giveWay(count)
	case "task-queue", "task-channel":
		runtime.GOMAXPROCS(1)
		elapsed = queue(count)
	case "task-queue-round-trip":
		runtime.GOMAXPROCS(1)
		elapsed = queueRoundTrip(count)
	case "task-sleepers-cpu", "task-sleepers-lateness":
		fmt.Printf("%.2f\n", sleepers(count, os.Args[1] == "task-sleepers-lateness"))
		return
	default:
		fail("unknown case " + os.Args[1])
	}
	fmt.Printf("%.2f\n", float64(elapsed.Nanoseconds())/float64(count))
}
