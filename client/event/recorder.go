package event

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

const (
	// action is what the component was about to do.
	action = "Reconcile"
	// burst and perSecond limit the Events of one workspace.
	burst     = 10
	perSecond = 1.0 / 30
	// again is how long the same is not told again.
	again = 5 * time.Minute
	// maxPending bounds what waits to be written, maxRecent what is remembered of written Events, and maxClusters the remembered limits.
	maxPending  = 1024
	maxRecent   = 4096
	maxClusters = 4096
	// maxMessage is how long a message may be, in bytes.
	maxMessage = 1024
	// maxName is how much of the name of an object begins the name of an Event.
	maxName = 200
)

var events = schema.GroupResource{Group: corev1.GroupName, Resource: "events"}

// Recorder records Events. It is safe for concurrent use.
type Recorder struct {
	client    client.Client
	component string
	clock     clock.PassiveClock

	mu sync.Mutex
	// add queues a key; nil until Feed runs.
	add     func(client.Key, time.Duration)
	pending map[client.Key]*corev1.Event
	recent  *lru.Cache // client.Key of an Event to the time.Time when it was last recorded
	limits  *lru.Cache // logicalcluster.Name to flowcontrol.PassiveRateLimiter
}

// New returns a recorder of the Events that component reports. It writes with c: whoever runs it calls Feed, and Write for each key.
func New(c client.Client, component string) *Recorder {
	return newRecorder(c, component, clock.RealClock{})
}

func newRecorder(c client.Client, component string, clock clock.PassiveClock) *Recorder {
	return &Recorder{
		client: c, component: component, clock: clock,
		pending: map[client.Key]*corev1.Event{}, recent: lru.New(maxRecent), limits: lru.New(maxClusters),
	}
}

// Feed hands the keys of Events that wait to be written to add, until ctx ends. Without it nothing is recorded.
func (r *Recorder) Feed(ctx context.Context, add func(key client.Key, after time.Duration)) {
	r.Use(add)
	<-ctx.Done()
	r.Use(nil)
}

// Use hands the keys of Events to add from now on; if it is nil, nothing is recorded any more.
func (r *Recorder) Use(add func(key client.Key, after time.Duration)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add = add
}

// Record tells users of the workspace of about, an object of the given kind, what happened. It returns at once.
func (r *Recorder) Record(about client.Object, kind schema.GroupVersionKind, eventType, reason, message string) {
	event := r.eventOf(about, kind, eventType, reason, message)
	key := client.Key{Cluster: logicalcluster.From(about), Namespace: event.Namespace, Name: event.Name}
	if key.Cluster.Empty() || key.Cluster.IsSystem() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.add == nil || len(r.pending) >= maxPending || r.isRecent(key) || !r.limit(key.Cluster).TryAccept() {
		return
	}
	r.recent.Add(key, r.clock.Now())
	r.pending[key] = event
	r.add(key, 0)
}

func (r *Recorder) isRecent(key client.Key) bool {
	last, known := r.recent.Get(key)
	return known && r.clock.Since(last.(time.Time)) < again
}

func (r *Recorder) limit(cluster logicalcluster.Name) flowcontrol.PassiveRateLimiter {
	if known, ok := r.limits.Get(cluster); ok {
		return known.(flowcontrol.PassiveRateLimiter)
	}
	limit := flowcontrol.NewTokenBucketPassiveRateLimiterWithClock(perSecond, burst, r.clock)
	r.limits.Add(cluster, limit)
	return limit
}

func (r *Recorder) eventOf(about client.Object, kind schema.GroupVersionKind, eventType, reason, message string) *corev1.Event {
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage-3], "") + "..."
	}
	hash := sha256.Sum256([]byte(string(about.GetUID()) + "\x00" + kind.String() + "\x00" + reason + "\x00" + message))
	namespace := about.GetNamespace()
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	name := about.GetName()
	name = strings.TrimRight(name[:min(len(name), maxName)], "-.")
	return &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name + "." + hex.EncodeToString(hash[:8])},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: kind.GroupVersion().String(), Kind: kind.Kind, Namespace: about.GetNamespace(), Name: about.GetName(), UID: about.GetUID(),
		},
		Type: eventType, Reason: reason, Message: message, Action: action,
		ReportingController: r.component, ReportingInstance: r.component, EventTime: metav1.NewMicroTime(r.clock.Now()),
	}
}

// Write writes the Event that waits with this key, if any. A failure is logged, and the Event is dropped.
func (r *Recorder) Write(ctx context.Context, key client.Key) {
	r.mu.Lock()
	event := r.pending[key]
	delete(r.pending, key)
	r.mu.Unlock()
	if event == nil {
		return
	}
	_, err := r.client.Create(ctx, events, key.Cluster, event)
	if apierrors.IsAlreadyExists(err) {
		err = r.count(ctx, key, event)
	}
	if err != nil {
		klog.FromContext(ctx).V(4).Info("An Event was not written", "resource", events, "reason", event.Reason, "error", err.Error())
	}
}

// count counts event as one more of the Event that exists.
func (r *Recorder) count(ctx context.Context, key client.Key, event *corev1.Event) error {
	old, err := client.Find[corev1.Event](ctx, r.client, events, key)
	if err != nil || old == nil {
		return err
	}
	counted := old.DeepCopy()
	if counted.Series == nil {
		counted.Series = &corev1.EventSeries{Count: 1}
	}
	counted.Series.Count++
	counted.Series.LastObservedTime = event.EventTime
	_, err = r.client.Update(ctx, events, key.Cluster, counted)
	return err
}
