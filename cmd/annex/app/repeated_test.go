package app

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	testingclock "k8s.io/utils/clock/testing"
)

func TestSparse_BoundsLinesAboutWebhooks(t *testing.T) {
	clock := testingclock.NewFakePassiveClock(time.Now())
	var lines []string
	inner := funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{})
	logger := inner.WithSink(&sparse{LogSink: inner.GetSink(), counts: &counts{clock: clock}}).WithValues("a", "b").WithName("n").WithCallDepth(1)
	fail := func(name string) {
		logger.Info(fmt.Sprintf("Failed calling webhook, failing closed %s: failed calling webhook %q: no", name, name))
		logger.Error(fmt.Errorf("failed calling webhook %q: no", name), "Unhandled Error")
		logger.Error(nil, fmt.Sprintf("Failed calling webhook, failing open %s: no", name))
		logger.Info(fmt.Sprintf("rejected by webhook %q: no", name))
	}
	for range 1000 {
		fail("one.example.com")
	}
	if len(lines) != 2 { // some lines quote the name
		t.Errorf("%d lines: %v", len(lines), lines)
	}
	for i := range 10 * maxWebhooks {
		fail(fmt.Sprintf("many-%d.example.com", i))
	}
	if len(lines) > maxWebhooks+1 {
		t.Errorf("%d lines about many webhooks", len(lines))
	}
	clock.SetTime(clock.Now().Add(repeatAfter))
	lines = nil
	fail("one.example.com")
	if len(lines) != 2 || !strings.Contains(lines[0], `"leftOutBefore"=1999`) {
		t.Errorf("a minute later: %v", lines)
	}
	lines = nil
	for i := range 1000 {
		logger.Error(nil, fmt.Sprintf("Failed to make webhook authorizer request: dial %d", i))
		logger.Error(fmt.Errorf("asking the authorization webhook: dial %d", i), "Authorization failed")
	}
	if len(lines) != 2 {
		t.Errorf("%d lines about the authorization webhook: %v", len(lines), lines)
	}
	lines = nil
	for range 3 {
		logger.Info("Something else")
		logger.Error(errors.New("failed otherwise"), "Something else")
	}
	if len(lines) != 6 {
		t.Errorf("other lines: %v", lines)
	}
}
