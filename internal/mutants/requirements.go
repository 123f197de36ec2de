package mutants

// Requirements lists every requirement that is fulfilled so far, with the Go
// tests that show it. The transcripts that show it name it themselves, in
// their first line ("ids: M-GEN-01 …"); a test adds those.
var Requirements = map[string][]Test{
	"M-GEN-01": nil,
	"M-GEN-02": {{checks, "TestWorldIsNeverTrusted"}, {checks, "TestLocalNetworksAreThoseOfTheMachineAndThoseAdded"}},
	"M-GEN-03": nil,
	"M-GEN-04": nil,
	"M-GEN-05": {{checks, "TestMailForwardedByAProgramIsKnownByItsMarks"}},
	"M-GEN-06": nil,
	"M-GEN-07": {{"internal/app", "TestHostNamesMustBeFull"}, {manage, "TestNameAndAddressesMustLeadToEachOther"}, {manage, "TestAnOutageOfDNSIsYellowAndNoError"}},
	"M-GEN-08": nil,
	"M-GEN-09": {{checks, "TestAnnouncedLimitsFollowTheSession"}},
	"M-GEN-10": nil,
	"M-GEN-11": {{checks, "TestAnnouncedLimitsFollowTheSession"}},
	"M-REL-01": {{checks, "TestMappedAddressIsTheIPv4Address"}},

	"M-DEL-01": {
		{remote, "TestWhatDNSSaysDecides"}, {remote, "TestHostsAreTriedInTheOrderOfTheirPreference"},
		{remote, "TestTLSIsUsedWhereItIsOffered"}, {"test/network", "TestServersExchangeMail"},
	},
	"M-DEL-02":  {{routes, "TestTheGeneralModeDecidesWithoutRules"}, {remote, "TestARelayIsAskedForNothingButItsAddress"}, {"test/network", "TestServersExchangeMail"}},
	"M-DEL-02a": {{routes, "TestRelaySettingsNameFieldAndRemedy"}, {remote, "TestARelayIsAskedForNothingButItsAddress"}},
	"M-DEL-02b": {{routes, "TestRelaySettingsNameFieldAndRemedy"}},
	"M-DEL-02c": {{remote, "TestARelayThatMustBeSecureIs"}, {remote, "TestAFailedHandshakeFallsBackOnlyWhereItMay"}},
	"M-DEL-02d": {{remote, "TestARelaysFaultIsNeverTheMessages"}, {remote, "TestAWrongPasswordIsTriedOnce"}, {remote, "TestAnotherImplementationTakesOurMail"}},
	"M-DEL-03d": {{routes, "TestRulesTakePrecedenceInTheirOrder"}},
	"M-REL-04":  {{"internal/app", "TestNameServersOfTheBootstrapStandAlone"}},

	"M-SEC-BW-01":  nil,
	"M-SEC-BW-02":  {{pipeline, "TestRulesMeetMappedAddresses"}},
	"M-SEC-BW-03":  nil,
	"M-SEC-BW-04":  nil,
	"M-SEC-BW-05":  {{pipeline, "TestWholeMessageNeedsARuleOfEveryRecipient"}},
	"M-SEC-BW-06":  nil,
	"M-SEC-BW-07":  nil,
	"M-SEC-BW-08":  nil,
	"M-SEC-BW-09":  {{pipeline, "TestSkipTableIsThatOfTheManual"}, {pipeline, "TestLiftedVerdictHasNoEffects"}},
	"M-SEC-BW-10":  {{pipeline, "TestAllowRuleDoesNotLiftAnUnnamedCheck"}},
	"M-SEC-BW-11":  nil,
	"M-SEC-BW-12":  {{pipeline, "TestSenderIsAuthenticatedBySPFOrByASignature"}},
	"M-SEC-BW-13":  nil,
	"M-SEC-BW-14":  nil,
	"M-SEC-BW-15":  {{checks, "TestVirusesAreRefused"}},
	"M-SEC-BW-16":  nil,
	"M-SEC-SP-01":  nil,
	"M-SEC-SP-02":  nil,
	"M-SEC-CON-01": nil,
	"M-SEC-CON-03": nil,
	"M-SEC-CON-04": nil,
	"M-SEC-CON-05": nil,
	"M-SEC-ADV-01": nil,
	"M-SEC-ADV-02": nil,
	"M-SEC-ADV-03": nil,
	"M-SEC-ADV-04": nil,
	"M-SEC-ADV-05": nil,

	"B1G-GEN-01": nil,
	"B1G-GEN-02": nil,
	"B1G-GEN-03": nil,
	"B1G-GEN-04": nil,
	"B1G-GEN-05": nil,
	"B1G-GEN-06": nil,

	"B1G-CLS-01": nil,
	"B1G-CLS-02": nil,
	"B1G-CLS-03": nil,
	"B1G-CLS-04": nil,
	"B1G-CLS-05": nil,
	"B1G-CLS-06": nil,
	"B1G-NET-01": {{checks, "TestRulesOfSettingsReadBackAsTheyWereWritten"}},
	"B1G-NET-02": nil,
	"B1G-BL-01":  nil,
	"B1G-BL-02":  nil,
	"B1G-BL-03":  nil,

	"B1G-LIM-01": nil,
	"B1G-LIM-02": nil,
	"B1G-LIM-03": nil,
	"B1G-LIM-04": nil,
	"B1G-LIM-05": nil,

	"B1G-BAN-01": nil,
	"B1G-BAN-02": nil,
	"B1G-BAN-03": nil,

	"B1G-GREY-01": nil,
	"B1G-GREY-02": nil,
	"B1G-GREY-03": nil,
	"B1G-GREY-04": nil,
	"B1G-GREY-06": nil,
	"B1G-GREY-07": nil,

	"B1G-SPF-01": nil,
	"B1G-SPF-02": nil,
	"B1G-SPF-03": nil,
	"B1G-SPF-04": nil,

	"SYS-DOM-02": nil,

	"ORD-01": {
		{pipeline, "TestFirstRejectWinsAndEndsTheStage"}, {pipeline, "TestLaterRejectWinsOverRememberedDefer"},
		{checks, "TestTableIsInTheOrderOfASessionAndComplete"},
	},
	"ORD-02": {{pipeline, "TestRefusalBeforeRcptIsHeldUntilRcpt"}, {pipeline, "TestRefusalAtOnceIsNotHeld"}},
	"ORD-03": nil,
	"ORD-04": {{pipeline, "TestPostmasterIsAlwaysReachable"}, {pipeline, "TestContentForPostmasterAloneIsExempt"}},

	"PROF-01": {{checks, "TestEveryProfileIsValid"}},

	// Rows of the tables of faults and of hostile input.
	"reliability-14": {{names, "TestAnOutageIsNeverAnAbsence"}, {remote, "TestWhatDNSSaysDecides"}},
	"reliability-18": {{remote, "TestContentIsMadeSevenBitPartByPart"}, {remote, "TestHostileHostsGetNowhere"}},
	"reliability-26": {{checks, "TestForbiddenAttachmentsAreRefused"}, {scanners, "TestLimitsHoldForTheWholeMessage"}},
	"reliability-30": {{bounce, "TestNobodyIsToldAboutReports"}, {bounce, "TestNoticesToOneSenderAreBounded"}},
	"reliability-31": {{scanners, "TestFieldsCannotCarryFurtherLines"}, {checks, "TestVirusesAreRefused"}},
	"hostile-37":     nil,
}

// Transcripts are the packages whose transcripts name requirements.
var Transcripts = []string{checks, smtpd}
