// Package network holds whole-binary tests of several mail servers that live
// in network namespaces of their own, with routers and name servers between
// them: two posthorns and a Postfix that send each other mail. The tests are in
// the test files.
package network
