package check

import (
	"context"
	"fmt"

	"posthorn/internal/base/reply"
	"posthorn/internal/base/unit"
	"posthorn/internal/policy"
)

// Room keeps the disk from filling up.
type Room struct {
	// Reserve is the free space below which no mail is accepted, so that the
	// server can still work and mail can still be deleted.
	Reserve unit.Size `default:"64MB" min:"1MB"`
}

// Check refuses MAIL for now when one and a half times the message would not
// fit (reliability.md row 6). A disk of unknown size passes: the store itself
// refuses what it cannot keep.
func (r *Room) Check(_ context.Context, f *policy.Facts) policy.Verdict {
	if f.Room.ReadOnly != nil {
		return policy.Unable("the store is read-only", f.Room.ReadOnly)
	}
	f.SawNumber("free", f.Room.Free)
	free := f.Room.Free - int64(r.Reserve)
	if f.Room.Total == 0 || free-free/3 >= int64(f.DeclaredSize) {
		return policy.Passed("there is room")
	}
	return policy.Refused(
		reply.New(452, reply.E(4, 3, 1), "Insufficient system storage, try again later"),
		fmt.Sprintf("%d octets are free, %s must stay free and the message declares %d octets",
			f.Room.Free, r.Reserve, int64(f.DeclaredSize)))
}
