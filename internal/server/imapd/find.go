package imapd

// rows finds a row by its verb.
var rows = func() map[string]*command {
	m := make(map[string]*command, len(commands))
	for i := range commands {
		m[commands[i].verb] = &commands[i]
	}
	return m
}()

// find returns the row of a verb, nil if there is none.
func find(verb string) *command { return rows[verb] }
