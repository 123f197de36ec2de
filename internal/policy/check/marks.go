package check

import "posthorn/internal/policy"

// marks are the fields that only we may write into mail from outside: those that
// come in could mislead who reads or sorts it.
func (s *Settings) marks(kind policy.Kind, trust policy.Trust) []string {
	if kind != policy.MX || trust != policy.Untrusted {
		return nil
	}
	var names []string
	if s.Virus.Server != "" && s.Virus.Mode != policy.Off {
		names = append(names, virusField)
	}
	if s.Spam.URL != "" && s.Spam.Mode != policy.Off {
		names = append(names, spamStatus, spamScore, spamFlag)
	}
	if s.Attachments.Mode != policy.Off && len(s.Attachments.Rules()) > 0 {
		names = append(names, attachmentField)
	}
	return names
}
