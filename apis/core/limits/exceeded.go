package limits

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// ExceededCause is the cause of a Forbidden error for a write that exceeds a limit.
const ExceededCause metav1.CauseType = "WorkspaceLimitExceeded"

const (
	// smallGrowth is by how many bytes an update may make an object grow to use the reserve: what marks an object as being deleted, or
	// writes a condition, takes less. The reserve is one reserveth of the limit, in addition to it.
	smallGrowth = 1 << 10
	reserveth   = 8

	// EventSize is for how many bytes an Event counts, and the greatest size of one, in a workspace with a limit. Events are not metered,
	// because etcd removes them by itself: a workspace may have as many as its limit of objects says, and as many as would fill its
	// limit of bytes.
	EventSize = 16 << 10
)

// Exceeded returns why the workspace may not store more on top of used; nil if it may. More is the change of one write, which creates
// an object if it has one. Whatever does not add anything is allowed.
func (l Limits) Exceeded(cluster logicalcluster.Name, used, more Amount) error {
	if l.Objects > 0 && more.Objects > 0 && used.Objects+more.Objects > l.Objects {
		return fmt.Errorf("logical cluster %q has reached its total object count limit (%d/%d objects)", cluster, used.Objects, l.Objects)
	}
	if l.Bytes <= 0 || more.Bytes <= 0 {
		return nil
	}
	limit := l.Bytes
	if more.Objects == 0 && more.Bytes <= smallGrowth {
		limit += limit / reserveth
	}
	if used.Bytes+more.Bytes > limit {
		return fmt.Errorf("logical cluster %q has reached its total size limit (%d/%d bytes): this write adds %d bytes", cluster, used.Bytes, l.Bytes, more.Bytes)
	}
	return nil
}

// ExceededByEvent returns why the workspace may not store one more Event of so many bytes on top of the number that it has.
func (l Limits) ExceededByEvent(cluster logicalcluster.Name, stored int64, size int) error {
	if !l.Any() {
		return nil
	}
	if size > EventSize {
		return fmt.Errorf("in logical cluster %q, whose size is limited, an Event may have at most %d bytes, and this one has %d", cluster, EventSize, size)
	}
	limit := l.Objects
	if l.Bytes > 0 && (limit <= 0 || limit > l.Bytes/EventSize) {
		limit = l.Bytes / EventSize
	}
	if stored >= limit {
		return fmt.Errorf("logical cluster %q has reached its limit of Events (%d/%d)", cluster, stored, limit)
	}
	return nil
}
