package main

import (
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// groupLog appends records of the size from many goroutines to one file, every
// record synced before its goroutine goes on, waiting records sharing a sync.
// It is what the disk gives to a perfect group commit.
func groupLog(dir string, writers, records, size int) (perSecond float64, syncs int, err error) {
	f, err := os.Create(filepath.Join(dir, "grouplog"))
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	type request struct {
		data []byte
		done chan error
	}
	queue := make(chan request, writers)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		var buf []byte
		var waiting []chan error
		for r := range queue {
			buf, waiting = append(buf[:0], r.data...), append(waiting[:0], r.done)
			for more := true; more; {
				select {
				case r, ok := <-queue:
					if more = ok; ok {
						buf, waiting = append(buf, r.data...), append(waiting, r.done)
					}
				default:
					more = false
				}
			}
			_, err := f.Write(buf)
			if err == nil {
				err = syscall.Fdatasync(int(f.Fd()))
			}
			syncs++
			for _, w := range waiting {
				w <- err
			}
		}
	}()
	start := time.Now()
	var wg sync.WaitGroup
	failed := make(chan error, writers)
	for range writers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r := request{data: make([]byte, size), done: make(chan error, 1)}
			for range records / writers {
				queue <- r
				if err := <-r.done; err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	wg.Wait()
	close(queue)
	<-finished
	took := time.Since(start)
	select {
	case err = <-failed:
	default:
	}
	return float64(records/writers*writers) / took.Seconds(), syncs, err
}
