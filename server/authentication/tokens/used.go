package tokens

import (
	"context"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/client"
)

const (
	// lastUsedLabel says on which day the token in a Secret was used last. It has the format lastUsedFormat.
	lastUsedLabel  = "kubernetes.io/legacy-token-last-used"
	lastUsedFormat = "2006-01-02"
	// invalidLabel, with any value but none, makes the token in a Secret invalid.
	invalidLabel = "kubernetes.io/legacy-token-invalid-since"

	// maxNoted bounds how many Secrets a replica remembers, and maxNoting how many it writes at once. Beyond that, a later request writes
	// what this one did not.
	maxNoted  = 4096
	maxNoting = 4
	// noteTimeout bounds one write.
	noteTimeout = 10 * time.Second
)

// uses writes into Secrets when their tokens were used, at most once a day for each Secret, and never while a request waits. It is safe for
// many goroutines.
type uses struct {
	live   client.Reader
	writer client.Writer

	mu     sync.Mutex
	day    string
	tried  map[client.Key]bool // on day
	noting int
	ended  func() // for tests; nil for nothing
}

// note records that the token in secret is used at a time, unless it is recorded.
func (u *uses) note(secret *corev1.Secret, now time.Time) {
	today, tomorrow := now.UTC().Format(lastUsedFormat), now.UTC().AddDate(0, 0, 1).Format(lastUsedFormat)
	// The clock of another replica may be ahead.
	if last := secret.Labels[lastUsedLabel]; last == today || last == tomorrow || !u.begin(client.KeyOf(secret), today) {
		return
	}
	go func() {
		defer u.end()
		ctx, cancel := context.WithTimeout(context.Background(), noteTimeout)
		defer cancel()
		key := client.KeyOf(secret)
		err := u.write(ctx, secret, today)
		switch {
		case apierrors.IsConflict(err), apierrors.IsNotFound(err):
			u.forget(key) // a later request sees what has changed
		case err != nil:
			klog.FromContext(ctx).V(2).Info("Cannot record when a token was used", "cluster", key.Cluster, "namespace", key.Namespace, "name", key.Name, "resource", "secrets", "reason", err.Error())
		}
	}()
}

// begin reports whether the caller is to write, and then call end.
func (u *uses) begin(key client.Key, today string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.writer == nil || u.noting >= maxNoting {
		return false
	}
	if u.day != today || len(u.tried) >= maxNoted {
		u.day, u.tried = today, map[client.Key]bool{}
	}
	if u.tried[key] {
		return false
	}
	u.tried[key] = true
	u.noting++
	return true
}

func (u *uses) forget(key client.Key) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.tried, key)
}

func (u *uses) end() {
	u.mu.Lock()
	u.noting--
	ended := u.ended
	u.mu.Unlock()
	if ended != nil {
		ended()
	}
}

// write sets the label, unless somebody has replaced the Secret or set the label meanwhile.
func (u *uses) write(ctx context.Context, secret *corev1.Secret, today string) error {
	key := client.KeyOf(secret)
	current, err := client.Find[corev1.Secret](ctx, u.live, corev1.Resource("secrets"), key)
	if err != nil || current == nil || current.UID != secret.UID || current.DeletionTimestamp != nil || current.Labels[lastUsedLabel] == today {
		return err
	}
	current = current.DeepCopy()
	current.Labels = maps.Clone(current.Labels)
	if current.Labels == nil {
		current.Labels = map[string]string{}
	}
	current.Labels[lastUsedLabel] = today
	_, err = u.writer.Update(ctx, corev1.Resource("secrets"), key.Cluster, current)
	return err
}
