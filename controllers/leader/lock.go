package leader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// Where the lease is.
const (
	Cluster   = logicalcluster.SystemAdmin
	Namespace = metav1.NamespaceSystem
	Name      = "annex-controllers"
)

var leases = coordinationv1.Resource("leases")

// lock adapts the Lease to client-go's election. It is used by one goroutine at a time.
type lock struct {
	live     client.Reader
	writer   client.Writer
	identity string
	// renewed is called after every write in which identity holds the lease.
	renewed func()
	// read is the Lease as it was read or written last.
	read *coordinationv1.Lease
}

var _ resourcelock.Interface = &lock{}

// Get implements resourcelock.Interface.
func (l *lock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	obj, err := l.live.Get(ctx, leases, client.Key{Cluster: Cluster, Namespace: Namespace, Name: Name})
	if err != nil {
		return nil, nil, err // not wrapped, because the election recognizes NotFound by its type
	}
	if err := l.keep(obj); err != nil {
		return nil, nil, err
	}
	record := resourcelock.LeaseSpecToLeaderElectionRecord(&l.read.Spec)
	raw, err := json.Marshal(*record)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding the record of the lease: %w", err)
	}
	return record, raw, nil
}

// Create implements resourcelock.Interface.
func (l *lock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: Name},
		Spec:       resourcelock.LeaderElectionRecordToLeaseSpec(&record),
	}
	created, err := l.writer.Create(ctx, leases, Cluster, lease)
	return l.wrote(record, created, err)
}

// Update implements resourcelock.Interface. It fails if another server has written the Lease in the meantime.
func (l *lock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	if l.read == nil {
		return errors.New("the lease was not read yet")
	}
	// The election may release only a lease that it holds, not the one that it has just read.
	if holder := ptr.Deref(l.read.Spec.HolderIdentity, ""); record.HolderIdentity == "" && holder != l.identity {
		return fmt.Errorf("the lease is not released: %q holds it", holder)
	}
	lease := l.read.DeepCopy()
	lease.Spec = resourcelock.LeaderElectionRecordToLeaseSpec(&record)
	updated, err := l.writer.Update(ctx, leases, Cluster, lease)
	return l.wrote(record, updated, err)
}

func (l *lock) wrote(record resourcelock.LeaderElectionRecord, obj client.Object, err error) error {
	if err != nil {
		return err
	}
	if err := l.keep(obj); err != nil {
		return err
	}
	if record.HolderIdentity == l.identity {
		l.renewed()
	}
	return nil
}

func (l *lock) keep(obj client.Object) error {
	lease, ok := obj.(*coordinationv1.Lease)
	if !ok {
		return fmt.Errorf("reading the lease: unexpected type %T", obj)
	}
	l.read = lease
	return nil
}

// RecordEvent implements resourcelock.Interface.
func (l *lock) RecordEvent(what string) {
	klog.V(1).InfoS("Leader election", "event", what, "identity", l.identity)
}

// Identity implements resourcelock.Interface.
func (l *lock) Identity() string { return l.identity }

// Describe implements resourcelock.Interface.
func (l *lock) Describe() string { return Namespace + "/" + Name }
