package etcd

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"k8s.io/klog/v2"
)

// sizes says how large the file of an embedded etcd may be, and when it is worth while to make it smaller.
type sizes struct {
	// quota is where etcd stops taking writes. The file counts, with the pages in it that are free.
	quota int64
	// floor is what must be free at least. Less is not worth that requests wait.
	floor int64
	// unused is how long more than half of the file must be free: what a busy tenant writes again and again should find it there.
	unused time.Duration
	// pause is the time between two defragmentations, period the time between two looks.
	pause, period time.Duration
}

var defaultSizes = sizes{
	quota:  8 << 30, // the largest that etcd recommends
	floor:  256 << 20,
	unused: time.Hour,
	pause:  10 * time.Minute,
	period: 10 * time.Second,
}

// near is the size from which a file is too close to the quota. An etcd with an alarm takes writes again below it.
func (s sizes) near() int64 { return s.quota / 8 * 7 }

// space keeps the file of an embedded etcd small. A file never shrinks by itself; what is deleted and compacted is free for new data, but
// counts for the quota. Defragmentation writes the data to another file, and requests wait until then.
type space struct {
	sizes
	server   *etcdserver.EtcdServer
	halfFree time.Time // since when more than half is free; zero if it is not
	last     time.Time // when it was defragmented, or that failed
}

// run looks until ctx ends, which does not end a defragmentation.
func (s *space) run(ctx context.Context) {
	ticker := time.NewTicker(s.period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := s.look(ctx); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Making room in the embedded etcd failed")
		}
	}
}

func (s *space) look(ctx context.Context) error {
	var full []*etcdserverpb.AlarmMember
	for _, alarm := range s.server.Alarms() {
		if alarm.Alarm == etcdserverpb.AlarmType_NOSPACE {
			full = append(full, alarm)
		}
	}
	backend := s.server.Backend()
	if s.worthwhile(time.Now(), backend.Size(), backend.SizeInUse(), len(full) > 0) {
		if err := s.defragment(ctx); err != nil {
			return err
		}
	}
	switch {
	case len(full) == 0:
		return nil
	case backend.Size() > s.near():
		return s.commit(ctx)
	}
	for _, alarm := range full {
		if err := s.alarm(ctx, etcdserverpb.AlarmRequest_DEACTIVATE, alarm.MemberID); err != nil {
			return fmt.Errorf("disarming the alarm: %w", err)
		}
	}
	klog.FromContext(ctx).Info("The embedded etcd has room again and takes writes", "bytes", backend.Size(), "quota", s.quota)
	return nil
}

// commit lets etcd commit, by an alarm of no member that is switched on and off. What was compacted is free only after that, and an etcd that
// is full writes nothing else.
func (s *space) commit(ctx context.Context) error {
	for _, action := range []etcdserverpb.AlarmRequest_AlarmAction{etcdserverpb.AlarmRequest_ACTIVATE, etcdserverpb.AlarmRequest_DEACTIVATE} {
		if err := s.alarm(ctx, action, 0); err != nil {
			return fmt.Errorf("finding out what is free: %w", err)
		}
	}
	return nil
}

func (s *space) alarm(ctx context.Context, action etcdserverpb.AlarmRequest_AlarmAction, member uint64) error {
	_, err := s.server.Alarm(ctx, &etcdserverpb.AlarmRequest{Action: action, Alarm: etcdserverpb.AlarmType_NOSPACE, MemberID: member})
	return err
}

// worthwhile reports whether a file with size bytes, of which used are not free, should be defragmented now.
func (s *space) worthwhile(now time.Time, size, used int64, full bool) bool {
	free := size - used
	if free < s.floor || free <= size/2 {
		s.halfFree = time.Time{}
	} else if s.halfFree.IsZero() {
		s.halfFree = now
	}
	switch {
	case now.Sub(s.last) < s.pause:
		return false
	case size > s.near() && (full || free >= s.quota/8):
		return used <= s.near()
	default:
		return !s.halfFree.IsZero() && now.Sub(s.halfFree) >= s.unused
	}
}

func (s *space) defragment(ctx context.Context) error {
	began, before := time.Now(), s.server.Backend().Size()
	err := s.server.Defragment()
	s.last, s.halfFree = time.Now(), time.Time{}
	if err != nil {
		return fmt.Errorf("defragmenting: %w", err)
	}
	klog.FromContext(ctx).Info("Defragmented the embedded etcd", "before", before, "after", s.server.Backend().Size(), "took", time.Since(began).Round(time.Millisecond))
	return nil
}
