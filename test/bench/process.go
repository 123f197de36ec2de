package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}

func waitFor(addr string, patience time.Duration) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			return c.Close()
		}
	}
	return fmt.Errorf("nothing listens on %s", addr)
}

// treeCPU sums user and system time of a process, its living descendants and
// all children that were waited for, in seconds.
func treeCPU(pid int) float64 {
	ticks := int64(0)
	children := map[int][]int{}
	times := map[int]int64{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		id, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		parent, _ := strconv.Atoi(fields[1])
		children[parent] = append(children[parent], id)
		for _, f := range fields[11:15] {
			n, _ := strconv.ParseInt(f, 10, 64)
			times[id] += n
		}
	}
	for todo := []int{pid}; len(todo) > 0; todo = todo[1:] {
		ticks += times[todo[0]]
		todo = append(todo, children[todo[0]]...)
	}
	return float64(ticks) / 100
}

// rss returns the resident memory of a process in octets.
func rss(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
			return n << 10
		}
	}
	return 0
}
