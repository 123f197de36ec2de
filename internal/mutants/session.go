package mutants

// Sessions are mutations of what the SMTP session itself counts and obeys.
var Sessions = []Mutation{}
