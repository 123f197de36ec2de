package daemon

import (
	"bufio"
	"io"
	"os/exec"
	"testing"
	"time"
)

// A child that outlives its parent would hold standard output open.
func TestAGroupEndsWithItsChildren(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-c", "sleep 600 & echo started; wait")
	InGroup(cmd)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(stdout)
	if line, err := out.ReadString('\n'); err != nil || line != "started\n" {
		t.Fatalf("%q, %v", line, err)
	}
	EndGroup(cmd)
	gone := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, out)
		gone <- err
	}()
	select {
	case err := <-gone:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("a child runs on")
	}
	_ = cmd.Wait() // a signal is how it was meant to end
}
