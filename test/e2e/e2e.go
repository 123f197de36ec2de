// Package e2e tests the whole binary as people use it: started, administered
// by its command line, and talked to by mail programs that others wrote. It
// knows nothing of what is inside.
package e2e
