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
	workers := flag.Int("workers", max(1, runtime.GOMAXPROCS(0)/2), "how many are built at once")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if !run(ctx, selected(*match), *workers) {
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

// run kills the mutants and reports whether none is left. The tests must pass
// without a mutation, or their failing would prove nothing.
func run(ctx context.Context, list []mutants.Mutation, workers int) bool {
	sound := map[mutants.Test]bool{}
	for _, m := range list {
		if sound[m.Killer] {
			continue
		}
		if out, err := mutants.Try(ctx, ".", m.Killer); err != nil {
			fmt.Printf("FAIL  %s in %s fails without a mutation: %v\n%s", m.Killer.Name, m.Killer.Package, err, out)
			return false
		}
		sound[m.Killer] = true
	}
	left := kill(ctx, list, workers)
	fmt.Printf("%d mutants, %d left\n", len(list), left)
	return left == 0 && ctx.Err() == nil
}

// kill returns how many could not be killed.
func kill(ctx context.Context, list []mutants.Mutation, workers int) int {
	var mu sync.Mutex
	var wg sync.WaitGroup
	left := 0
	work := make(chan mutants.Mutation)
	for range workers {
		wg.Go(func() {
			for m := range work {
				err := mutants.Kill(ctx, ".", m)
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
	for _, m := range list {
		work <- m
	}
	close(work)
	wg.Wait()
	return left
}
