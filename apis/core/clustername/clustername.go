package clustername

import (
	"crypto/sha256"
	"math/big"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

const (
	nameLength      = 16
	homeBytes       = 8
	shardHashLength = 8
)

// FromUID returns the name of the logical cluster of the Workspace with this UID, for example 2f8kq1z0c7a9x3bd. It is the
// same every time. attempt is 0 at first, and is incremented if another workspace already uses the name.
func FromUID(uid types.UID, attempt int) logicalcluster.Name {
	seed := string(uid)
	if attempt > 0 {
		seed += "/" + strconv.Itoa(attempt)
	}
	return FromBytes([]byte(seed))
}

// FromBytes returns the name that belongs to seed, which should be unique or random.
func FromBytes(seed []byte) logicalcluster.Name {
	sum := sha256.Sum224(seed)
	return logicalcluster.Name(base36(sum[:])[:nameLength])
}

// ShardHash returns the hash that identifies a shard in annotations and labels: 8 characters of base 36.
func ShardHash(shard string) string {
	sum := sha256.Sum224([]byte(shard))
	return base36(sum[:])[:shardHashLength]
}

// base36 returns b as a number in base 36, in lower case, with one 0 in front for each zero byte that b begins with.
func base36(b []byte) string {
	zeros := 0
	for zeros < len(b) && b[zeros] == 0 {
		zeros++
	}
	digits := ""
	if zeros < len(b) {
		digits = new(big.Int).SetBytes(b).Text(36)
	}
	return strings.Repeat("0", zeros) + digits
}
