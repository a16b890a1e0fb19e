package core

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimachineryresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/registry/kinds"
)

func row[E any, T kinds.Pointer[E]](kind *kinds.Kind[E, T], obj T) string {
	var columns, cells []string
	for _, c := range kind.Columns {
		name := c.Name
		if c.Priority > 0 {
			name += "+"
		}
		columns = append(columns, name)
	}
	for _, cell := range kind.Cells(obj) {
		cells = append(cells, fmt.Sprint(cell))
	}
	return strings.Join(columns, "|") + "\n" + strings.Join(cells, "|")
}

func TestTables(t *testing.T) {
	t.Parallel()
	old := metav1.NewTime(time.Now().Add(-5 * 24 * time.Hour))
	older := metav1.NewTime(time.Now().Add(-10 * 24 * time.Hour))
	m := metav1.ObjectMeta{Name: "x", CreationTimestamp: old}
	q := apimachineryresource.MustParse
	for name, tt := range map[string]struct{ got, want string }{
		"namespace":      {row(namespaces(), &corev1.Namespace{ObjectMeta: m, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive}}), "Name|Status|Age\nx|Active|5d"},
		"configmap":      {row(configMaps(), &corev1.ConfigMap{ObjectMeta: m, Data: map[string]string{"a": ""}, BinaryData: map[string][]byte{"b": nil}}), "Name|Data|Age\nx|2|5d"},
		"secret":         {row(secrets(), &corev1.Secret{ObjectMeta: m, Type: "Opaque", Data: map[string][]byte{"b": nil}}), "Name|Type|Data|Age\nx|Opaque|1|5d"},
		"serviceaccount": {row(serviceAccounts(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "x"}}), "Name|Age\nx|<unknown>"},
		"resourcequota": {
			row(resourceQuotas(), &corev1.ResourceQuota{ObjectMeta: m, Status: corev1.ResourceQuotaStatus{
				Hard: corev1.ResourceList{"pods": q("4"), "cpu": q("2"), "limits.cpu": q("3")}, Used: corev1.ResourceList{"pods": q("1")},
			}}),
			"Name|Request|Limit|Age\nx|cpu: 0/2, pods: 1/4|limits.cpu: 0/3|5d",
		},
		"event": {
			row(eventKind(), &corev1.Event{
				ObjectMeta: m, Type: "Normal", Reason: "R", Message: " m\n", FirstTimestamp: older, LastTimestamp: old, Count: 3,
				InvolvedObject: corev1.ObjectReference{Kind: "ConfigMap", Name: "y", FieldPath: "p"}, Source: corev1.EventSource{Component: "c", Host: "h"},
			}),
			"Last Seen|Type|Reason|Object|Subobject+|Source+|Message|First Seen+|Count+|Name+\n5d|Normal|R|configmap/y|p|c, h|m|10d|3|x",
		},
		"event of events.k8s.io": {
			row(eventKind(), &corev1.Event{ObjectMeta: m, EventTime: metav1.NewMicroTime(old.Time), ReportingController: "c", InvolvedObject: corev1.ObjectReference{Kind: "Cluster"}}),
			"Last Seen|Type|Reason|Object|Subobject+|Source+|Message|First Seen+|Count+|Name+\n5d|||cluster||c||5d|1|x",
		},
		"series": {
			row(eventKind(), &corev1.Event{ObjectMeta: m, EventTime: metav1.NewMicroTime(older.Time), Series: &corev1.EventSeries{Count: 7, LastObservedTime: metav1.NewMicroTime(old.Time)}}),
			"Last Seen|Type|Reason|Object|Subobject+|Source+|Message|First Seen+|Count+|Name+\n5d|||||||10d|7|x",
		},
	} {
		if tt.got != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, tt.got, tt.want)
		}
	}
}
