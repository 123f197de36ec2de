package policy_test

import (
	"errors"
	"strconv"
	"strings"
)

// expand writes out the lines between "repeat N" and "end" so many times; # in
// them is the number of the turn.
func expand(dialogue string) (string, error) {
	var b, block strings.Builder
	times := 0
	for line := range strings.Lines(dialogue) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case word == "repeat" && times == 0:
			n, err := strconv.Atoi(rest)
			if err != nil || n < 1 {
				return "", errors.New("repeat what? " + line)
			}
			times = n
		case word == "end" && rest == "" && times > 0:
			for i := range times {
				b.WriteString(strings.ReplaceAll(block.String(), "#", strconv.Itoa(i+1)))
			}
			block.Reset()
			times = 0
		case times > 0:
			block.WriteString(line)
		default:
			b.WriteString(line)
		}
	}
	if times > 0 {
		return "", errors.New("a repeat has no end")
	}
	return b.String(), nil
}
