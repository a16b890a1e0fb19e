package custom

import (
	"errors"

	"github.com/annex-dev/annex/registry/storage/raw"
)

// What cannot be decoded may be asked of a webhook, which may be slow or gone. So a reader of many objects gives up, on a cluster and on all.
const (
	failuresOfOne = 16
	failuresOfAll = 64
)

var errGivenUp = errors.New("too many objects before it could not be decoded")

// suspects are what a reader of many objects knows of those that could not be decoded. The zero value is for one who has found none.
type suspects struct {
	// most is how many objects the next batch may have; 0 if nothing speaks against any number.
	most int
	// cluster has the object that failed last, and ofOne that failed one after the other there; all counts those of all clusters.
	cluster    string
	ofOne, all int
}

// atMost returns how many objects the next batch may have.
func (s *suspects) atMost() int {
	if s.most > 0 {
		return s.most
	}
	return batchObjects
}

// cleared says that a batch was decoded. The next one may be twice as large.
func (s *suspects) cleared() {
	s.ofOne, s.all = 0, 0
	if s.most *= 2; s.most >= batchObjects {
		s.most = 0
	}
}

// failed says that an object could not be decoded.
func (s *suspects) failed(item *raw.Object) {
	s.most = 1
	s.all++
	if cluster, _, _, _ := item.Tail(); cluster != s.cluster {
		s.cluster, s.ofOne = cluster, 0
	}
	s.ofOne++
}

// given reports whether the reader has given up on an item.
func (s *suspects) given(item *raw.Object) bool {
	cluster, _, _, _ := item.Tail()
	return s.all >= failuresOfAll || s.ofOne >= failuresOfOne && cluster == s.cluster
}
