package cli

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the build; a plain `go build` leaves it empty.
var version string

// Version returns what this binary calls itself.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return s.Value[:12]
			}
		}
	}
	return "development"
}

type versionCmd struct{}

func (c *versionCmd) Run(_ context.Context, w *Where, s *Streams) error {
	if w.JSON {
		return printJSON(s.Out, map[string]string{"version": Version(), "go": runtime.Version()})
	}
	_, err := fmt.Fprintf(s.Out, "posthorn %s (%s, %s/%s)\n", Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
