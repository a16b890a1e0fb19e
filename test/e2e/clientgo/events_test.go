package clientgo

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/record"

	"github.com/annex-dev/annex/test/framework/annex"
)

// about returns the Events about an object, by reason.
func about(ctx context.Context, client kubernetes.Interface, name string) (map[string][]corev1.Event, error) {
	list, err := client.CoreV1().Events("default").List(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("involvedObject.name", name).String()})
	if err != nil {
		return nil, err
	}
	found := map[string][]corev1.Event{}
	for _, event := range list.Items {
		found[event.Reason] = append(found[event.Reason], event)
	}
	return found, nil
}

// The recorders of both APIs count what repeats itself instead of storing it again, and the older one summarizes what is similar.
func TestRecorders_AggregateWhatRepeatsItself(t *testing.T) {
	t.Parallel()
	client, _ := annex.Clients(t, workspace(t, "events"))
	maps := client.CoreV1().ConfigMaps("default")
	subject, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "subject"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	older := record.NewBroadcaster(record.WithContext(t.Context()))
	t.Cleanup(older.Shutdown)
	older.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	recorder := older.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "older"})
	for range 3 {
		recorder.Event(subject, corev1.EventTypeNormal, "Repeated", "the same")
	}
	for i := range 12 {
		recorder.Eventf(subject, corev1.EventTypeWarning, "Similar", "number %d", i)
	}
	newer := events.NewBroadcaster(&events.EventSinkImpl{Interface: client.EventsV1()})
	t.Cleanup(newer.Shutdown)
	if err := newer.StartRecordingToSinkWithContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	series := newer.NewRecorder(scheme.Scheme, "newer")
	note := func() { series.Eventf(subject, nil, corev1.EventTypeNormal, "Noted", "Note", "the same") }
	note()
	annex.Eventually(t, func(ctx context.Context) error {
		found, err := about(ctx, client, "subject")
		if err == nil && len(found["Noted"]) != 1 {
			err = fmt.Errorf("%d events of the newer API", len(found["Noted"]))
		}
		return err
	})
	note()
	annex.Eventually(t, func(ctx context.Context) error {
		found, err := about(ctx, client, "subject")
		if err != nil {
			return err
		}
		repeated, similar, noted := found["Repeated"], found["Similar"], found["Noted"]
		switch {
		case len(repeated) != 1 || repeated[0].Count != 3:
			return fmt.Errorf("what is repeated is stored as %+v", repeated)
		// Nine on their own, and one that counts the others.
		case len(similar) != 10 || !anyCombined(similar, 3):
			return fmt.Errorf("what is similar is stored as %d events", len(similar))
		case len(noted) != 1 || noted[0].Series == nil || noted[0].Series.Count != 2:
			return fmt.Errorf("the series is stored as %+v", noted)
		}
		return nil
	})
	// Both APIs show the same Events.
	list, err := client.EventsV1().Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "reason=Noted"})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 1 || list.Items[0].ReportingController != "newer" || list.Items[0].Note != "the same" {
		t.Errorf("the newer API shows %+v", list.Items)
	}
}

func anyCombined(found []corev1.Event, count int32) bool {
	for _, event := range found {
		if strings.HasPrefix(event.Message, "(combined from similar events)") && event.Count == count {
			return true
		}
	}
	return false
}
