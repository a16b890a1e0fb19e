package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// What an operator notes is what was written since it was asked, and only the number of a busy consumer's writes.
func TestReconciled(t *testing.T) {
	r := &reconciled{}
	now := time.Now()
	r.note("one", now, now.Add(time.Second)) // nobody has asked
	r.begin("busy")
	r.note("one", now.Add(-time.Hour), now)
	for i, cluster := range []logicalcluster.Name{"one", "busy", "two", "busy"} {
		written := time.Now()
		r.note(cluster, written, written.Add(time.Duration(i+1)*time.Millisecond))
	}
	if diff := cmp.Diff(answer{Latencies: latencies{time.Millisecond, 3 * time.Millisecond}, Busy: 2}, r.take()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	r.begin("")
	if a := r.take(); len(a.Latencies)+a.Busy > 0 {
		t.Errorf("it begins with %+v", a)
	}
}

func TestStamp_IsReadBack(t *testing.T) {
	at := time.Now().Round(0)
	var w widget
	if got := w.writtenAt(); !got.Equal(time.Unix(0, 0)) {
		t.Errorf("what nobody has written was written at %s", got)
	}
	if err := json.Unmarshal(stamp(at), &w); err != nil {
		t.Fatal(err)
	}
	if got := w.writtenAt(); !got.Equal(at) {
		t.Errorf("written at %s, read as %s", at, got)
	}
}

func TestParseOptions_Operator(t *testing.T) {
	_, err := parseOptions([]string{"--server-binary=b", "--operator-consumers=1", "--operator-time=1ms", "--operator-writes=0"})
	for _, want := range []string{"--operator-consumers", "--operator-time", "--operator-writes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not mention %q", err, want)
		}
	}
}
