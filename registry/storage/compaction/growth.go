package compaction

import (
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
)

const (
	// A turn comes when the database has grown by one part in most of its room, or in some if the history is long enough. It holds the
	// growth since the last turn but one, so old revisions take at most half of the room.
	most, some = 4, 16
	// looksInRoom is into how many parts of the room looks divide what is written.
	looksInRoom = 32
	// leastRoom is what part of the quota counts as room even if there is less. A compaction reads all keys, so that one after the other
	// would slow down everything.
	leastRoom = 16
	// defaultQuota is that of etcd. A larger database shows that it has another one, and largestQuota is the largest that etcd recommends.
	defaultQuota, largestQuota = 2 << 30, 8 << 30
)

// growth is how the databases of the members grow. The zero value begins now.
type growth struct {
	least map[uint64]int64 // bytes in use of each member
}

// measure returns by how much a database has grown, compared to the least that it was, and how much room it had then.
func (g *growth) measure(status *etcdserverpb.StatusResponse) (grown, room int64) {
	used, member := status.DbSizeInUse, status.Header.MemberId
	if g.least == nil {
		g.least = map[uint64]int64{}
	}
	least, known := g.least[member]
	if !known || used < least { // etcd frees what it has compacted little by little
		least = used
		g.least[member] = used
	}
	quota := quotaOf(status)
	return used - least, max(quota-least, quota/leastRoom)
}

// quotaOf returns how large the file of a member may be. Members before 3.6 do not say it, and it may be switched off.
func quotaOf(status *etcdserverpb.StatusResponse) int64 {
	switch {
	case status.DbSizeQuota > 0:
		return status.DbSizeQuota
	case status.DbSize < defaultQuota:
		return defaultQuota
	default:
		return largestQuota
	}
}

// isFull reports whether a member has run out of space, so that etcd takes no writes.
func isFull(status *etcdserverpb.StatusResponse) bool {
	return slices.ContainsFunc(status.Errors, func(alarm string) bool {
		return strings.Contains(alarm, etcdserverpb.AlarmType_NOSPACE.String())
	})
}
