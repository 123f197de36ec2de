package daemon

import (
	"os/exec"
	"syscall"
)

// InGroup gives a program that starts children, as rspamd does, a process group
// of its own, so that EndGroup reaches them too. Call it before Start. Should
// the test process die, the program is asked to end, and ends its children.
func InGroup(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Pdeathsig = true, syscall.SIGTERM
}

// EndGroup kills a program that was started in a group and what is left of its
// children. The caller waits for the program.
func EndGroup(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // all may be gone
}
