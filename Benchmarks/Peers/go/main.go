// The same micro-benchmarks in Go: a goroutine stands where the others have a loop, a channel where they have an inbox.
//
// Usage: peer CASE COUNT PENDING. Prints nanoseconds per operation.
package main

import (
	"fmt"
	"os"
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
	case "task-sleepers-cpu", "task-sleepers-lateness":
		fmt.Printf("%.2f\n", sleepers(count, os.Args[1] == "task-sleepers-lateness"))
		return
	default:
		fail("unknown case " + os.Args[1])
	}
	fmt.Printf("%.2f\n", float64(elapsed.Nanoseconds())/float64(count))
}
