package manage

import (
	"fmt"

	"posthorn/internal/state/store"
)

// choiceWord writes a choice as administrators read it.
func choiceWord(c store.Choice) string {
	switch c {
	case store.Yes:
		return "yes"
	case store.No:
		return "no"
	}
	return "inherit"
}

// setChoice sets whether accounts may forward, if a word for it is given.
func setChoice(c *store.Choice, word *string) error {
	if word == nil {
		return nil
	}
	switch *word {
	case "yes":
		*c = store.Yes
	case "no":
		*c = store.No
	case "inherit":
		*c = store.Inherit
	default:
		return inField("forwarding", fmt.Errorf("%q is not one of yes, no, inherit", *word))
	}
	return nil
}
