package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// imapCount sums STATUS MESSAGES of INBOX over accounts.
func imapCount(addr, userFormat, password string, accounts int) (int, error) {
	total := 0
	for i := range accounts {
		n, err := imapMessages(addr, fmt.Sprintf(userFormat, i), password)
		if err != nil {
			return 0, fmt.Errorf("count of account %d: %w", i, err)
		}
		total += n
	}
	return total, nil
}

func imapMessages(addr, user, password string) (int, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	in := bufio.NewReader(c)
	if _, err := fmt.Fprintf(c, "a LOGIN %s %s\r\nb STATUS INBOX (MESSAGES)\r\nc LOGOUT\r\n", user, password); err != nil {
		return 0, err
	}
	count := -1
	for {
		line, err := in.ReadString('\n')
		if _, after, ok := strings.Cut(line, "(MESSAGES "); ok {
			count, _ = strconv.Atoi(strings.TrimRight(after, ")\r\n"))
		}
		if strings.HasPrefix(line, "a NO") || strings.HasPrefix(line, "b NO") {
			return 0, errors.New(strings.TrimSpace(line))
		}
		if err == io.EOF || strings.HasPrefix(line, "c ") {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	if count < 0 {
		return 0, errors.New("no answer to STATUS")
	}
	return count, nil
}
