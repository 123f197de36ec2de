package mutants

// scanners is the folder of the scanners.
const scanners = "internal/policy/scan"

// look is a mutation of a check that looks into content.
func look(name, file, fn, old, new, test string) Mutation {
	return Mutation{Name: name, File: checks + "/" + file, Func: fn, Old: old, New: new, Killer: Test{checks, test}}
}

// blind is the mutation that switches such a check off.
func blind(check, file, fn, test string) Mutation {
	return Mutation{Name: check + " is off", File: checks + "/" + file, Func: fn, Insert: pass, Killer: Test{checks, test}}
}

// deaf is the mutation that switches one row of the milters off.
func deaf(check, exempt string) Mutation {
	row := `Name: "` + check + `", Setting: "policy.milters.servers", Worst: policy.Drop, Exempt: ` + exempt + ` | policy.OfRefused, Mode: `
	return Mutation{Name: check + " is off", File: checks + "/table.go", Func: "Table", Old: row + "s.Milters.Mode", New: row + "policy.Off", Killer: Test{checks, "TestMiltersAreObeyed"}}
}

// Contents are mutations of what is done about viruses, spam, attachments and
// the words of milters.
var Contents = []Mutation{
	look("a scanner that is down lets viruses pass", "virus.go", "Virus.check", `v.WhenDown == "defer"`, "false", "TestVirusesAreRefused"),
	look("users may send viruses", "virus.go", "Virus.found", " || !outside", "", "TestVirusesAreRefused"),
	look("users are always scanned", "virus.go", "Virus.check", "!outside && !v.Outgoing", "false", "TestVirusesAreRefused"),
	look("scanners write what they like", "virus.go", "ascii", "r < ' ' || ", "", "TestVirusesAreRefused"),
	look("the score of refusal is not enough", "spam.go", "Spam.judge", "r.Score >= from", "r.Score > from", "TestSpamIsRefusedFiledOrMarked"),
	look("zero is a score", "spam.go", "Spam.judge", "from > 0 && ", "", "TestSpamIsRefusedFiledOrMarked"),
	look("soft reject is not obeyed", "spam.go", "Spam.later", "action == scan.ActionSoftReject", "false", "TestSpamIsRefusedFiledOrMarked"),
	look("spam is not filed in Junk", "spam.go", "Spam.verdict", "what == junked", "false", "TestSpamIsRefusedFiledOrMarked"),
	look("an archive bomb is an attachment like any", "attachment.go", "Attachments.found", `do, by := a.Found, "policy.attachments."+r.Rule`+"\n\tif r.Rule == boundRule {", `do, by := a.Found, "policy.attachments."+r.Rule`+"\n\tif false {", "TestForbiddenAttachmentsAreRefused"),
	look("forged marks stay", "marks.go", "Settings.marks", "trust != policy.Untrusted", "true", "TestOnlyOurMarksStayInMailFromOutside"),
	{
		Name: "milters hear of what is put off", File: pipeline + "/pipeline.go", Func: "Pipeline.Judge", Old: "applies |= OfRefused", New: "applies |= 0",
		Killer: Test{checks, "TestMiltersHearOfWhatWouldBeAcceptedOnly"},
	},
	{
		Name: "forged fields pass", File: "internal/policy/evidence/strip.go", Func: "Stripper.judge", Old: "s.name != resultsName || ", New: "",
		Killer: Test{"internal/policy/evidence", "TestFieldsThatOnlyWeWriteAreTakenOut"},
	},
}
