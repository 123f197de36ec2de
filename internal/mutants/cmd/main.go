// Command cmd builds every mutant and demands that its test fails. It runs in
// the repository's root: go run ./internal/mutants/cmd.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"

	"posthorn/internal/mutants"
)

func main() {
	match := flag.String("match", "", "only mutants with this in their name or file")
	workers := flag.Int("workers", runtime.GOMAXPROCS(0), "how many tests run at once")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, selected(*match), *workers)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAIL ", err)
		os.Exit(1)
	}
}

func selected(match string) []mutants.Mutation {
	var list []mutants.Mutation
	for _, m := range mutants.All() {
		if strings.Contains(m.Name, match) || strings.Contains(m.File, match) {
			list = append(list, m)
		}
	}
	return list
}

// run kills the mutants. The tests must pass without a mutation first.
func run(ctx context.Context, list []mutants.Mutation, workers int) error {
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // the system clears its folder
	bench, err := mutants.Build(ctx, ".", dir, list)
	if err != nil {
		return err
	}
	killers := map[mutants.Test]bool{}
	for _, m := range list {
		if killers[m.Killer] {
			continue
		}
		killers[m.Killer] = true
		if err := bench.Sound(ctx, m.Killer); err != nil {
			return err
		}
	}
	left := kill(ctx, bench, list, workers)
	fmt.Printf("%d mutants, %d left\n", len(list), left)
	if left > 0 {
		return fmt.Errorf("%d mutants live", left)
	}
	return ctx.Err()
}

// kill returns how many could not be killed.
func kill(ctx context.Context, bench *mutants.Bench, list []mutants.Mutation, workers int) int {
	var mu sync.Mutex
	var wg sync.WaitGroup
	left := 0
	work := make(chan int)
	for range workers {
		wg.Go(func() {
			for i := range work {
				m, err := list[i], bench.Kill(ctx, i)
				mu.Lock()
				if err != nil {
					left++
					fmt.Printf("FAIL  %s (%s, %s): %v\n", m.Name, m.File, m.Func, err)
				} else {
					fmt.Printf("ok    %s\n", m.Name)
				}
				mu.Unlock()
			}
		})
	}
	for i := range list {
		work <- i
	}
	close(work)
	wg.Wait()
	return left
}
