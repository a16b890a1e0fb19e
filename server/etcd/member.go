package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/util/version"
)

// statusTimeout is how long a member may take to say how it is. One that is down is not waited for any longer.
const statusTimeout = time.Second

// Older members may notify a watch of progress before they have sent it the events until then, so that a read would miss them:
// https://github.com/etcd-io/etcd/issues/15220 and https://github.com/etcd-io/etcd/issues/17507. The stock watch caches draw the same
// line.
var oldest34, v35, oldest35 = version.MustParseSemantic("3.4.31"), version.MustParseSemantic("3.5.0"), version.MustParseSemantic("3.5.13")

// useEtcd is the remedy for a store that is no etcd.
const useEtcd = "use etcd 3.5.13 or later"

// answer is what a member says of itself.
type answer struct {
	endpoint string
	status   *clientv3.StatusResponse
	err      error
}

// askMembers asks all members at once.
func (p *prober) askMembers(ctx context.Context) []answer {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	answers := make([]answer, len(p.client.Endpoints()))
	var all sync.WaitGroup
	for i, endpoint := range p.client.Endpoints() {
		all.Go(func() {
			answers[i].endpoint = endpoint
			answers[i].status, answers[i].err = p.client.Status(ctx, endpoint)
		})
	}
	all.Wait()
	return answers
}

// judge reports the oldest version and all alarms. It passes over members that do not answer, unless none does. refused is the answer of
// a store that takes no writes; nil if it takes them.
func (p *prober) judge(answers []answer, refused error) (Report, error) {
	var report Report
	var silent error
	var oldest *version.Version
	full, corrupt := errors.Is(refused, rpctypes.ErrNoSpace), errors.Is(refused, rpctypes.ErrCorrupt)
	for _, a := range answers {
		if a.err != nil && !refuses(a.err) {
			silent = fmt.Errorf("asking %s for its version: %w", a.endpoint, a.err)
			continue
		}
		is, err := versionOf(a)
		switch {
		case err != nil:
			return report, p.lack(fmt.Sprintf("%s does not say which version of etcd it is (%v)", a.endpoint, err), useEtcd)
		case is.LessThan(oldest34), is.AtLeast(v35) && is.LessThan(oldest35):
			return report, p.lack(fmt.Sprintf("%s is etcd %s, where notifications of progress can overtake events", a.endpoint, is), useEtcd)
		case oldest == nil || is.LessThan(oldest):
			oldest, report.Version = is, is.String()
		}
		for _, alarm := range a.status.Errors {
			full = full || strings.Contains(alarm, etcdserverpb.AlarmType_NOSPACE.String())
			corrupt = corrupt || strings.Contains(alarm, etcdserverpb.AlarmType_CORRUPT.String())
		}
	}
	if oldest == nil {
		return report, silent
	}
	if full {
		report.Warnings = append(report.Warnings,
			"etcd has its alarm NOSPACE on and takes no more writes: delete objects, defragment etcd or raise its quota, and then disarm the alarm")
	}
	if corrupt {
		report.Warnings = append(report.Warnings,
			"etcd has its alarm CORRUPT on and takes no more writes: replace the members that differ or restore a backup, and then disarm the alarm")
	}
	return report, nil
}

// versionOf returns the version that a member says it has.
func versionOf(a answer) (*version.Version, error) {
	if a.err != nil {
		return nil, errors.New(rpctypes.ErrorDesc(a.err))
	}
	return version.ParseSemantic(a.status.Version)
}
