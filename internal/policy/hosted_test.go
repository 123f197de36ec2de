package policy

import "posthorn/internal/state/directory"

// hosted is what a recipient of ours resolves to.
var hosted = directory.Resolution{Kind: directory.Local}
