package jwt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apiserver/pkg/server/options/authenticationconfig/metrics"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/server/watchfile"
)

// pending is a configuration that is used as soon as its fresh issuers have been reached.
type pending struct {
	next  *accepted
	fresh []*issuer
	// content is what it was read from.
	content string
	// since is when it was read, or when it was last reported that an issuer cannot be reached.
	since time.Time
}

// Run accepts tokens, and follows the file, until ctx ends. Call it once.
func (i *Issuers) Run(ctx context.Context) error {
	first, _, err := i.build(ctx, i.first, nil)
	if err != nil {
		return err
	}
	i.accepted.Store(first)
	if i.file == nil {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(watchfile.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			i.poll(ctx)
		}
	}
}

// poll looks whether the file has changed, and whether a new configuration can be used.
func (i *Issuers) poll(ctx context.Context) {
	changed, err := i.file.Poll()
	if err != nil {
		i.failed(ctx, err)
		return
	}
	if changed {
		if err := i.change(ctx); err != nil {
			i.failed(ctx, err)
		}
	}
	if i.pending != nil {
		i.advance(ctx)
	}
}

// change begins to use the content of the file. A configuration that was pending is superseded, even by one that cannot be used.
func (i *Issuers) change(ctx context.Context) error {
	if i.pending != nil {
		stop(i.pending.fresh)
		i.pending = nil
	}
	configuration, err := i.read(i.file.Content())
	if err != nil {
		return err
	}
	next, fresh, err := i.build(ctx, configuration, i.accepted.Load().issuers)
	if err != nil {
		return err
	}
	i.pending = &pending{next: next, fresh: fresh, content: string(i.file.Content()), since: i.clock.Now()}
	return nil
}

// advance uses the pending configuration if all its issuers have been reached.
func (i *Issuers) advance(ctx context.Context) {
	var errs []error
	for _, one := range i.pending.fresh {
		if err := one.tokens.HealthCheck(); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		if i.clock.Since(i.pending.since) >= reachTimeout {
			i.pending.since = i.clock.Now()
			i.failed(ctx, fmt.Errorf("waiting until its issuers can be reached: %w", errors.Join(errs...)))
		}
		return
	}
	before := i.accepted.Swap(i.pending.next)
	i.drop(before)
	if i.config.File != "" {
		metrics.RecordAuthenticationConfigAutomaticReloadSuccess(i.config.ServerID, i.pending.content)
	}
	i.pending = nil
	klog.FromContext(ctx).Info("Read the trusted issuers of tokens again", "file", i.file.Path())
}

// drop stops the issuers of before that are not trusted any more, a little later.
func (i *Issuers) drop(before *accepted) {
	now := i.accepted.Load().issuers
	for _, one := range before.issuers {
		if slices.Contains(now, one) {
			continue
		}
		time.AfterFunc(stopDelay, func() {
			one.stop()
			url := one.trusted.Issuer.URL
			if !slices.ContainsFunc(i.accepted.Load().issuers, func(other *issuer) bool { return other.trusted.Issuer.URL == url }) {
				oidc.DeleteJWKSFetchMetrics(url, i.config.ServerID)
			}
		})
	}
}

// failed reports that the content of the file is not used.
func (i *Issuers) failed(ctx context.Context, err error) {
	if i.config.File != "" {
		metrics.RecordAuthenticationConfigAutomaticReloadFailure(i.config.ServerID)
	}
	klog.FromContext(ctx).Error(err, "The trusted issuers of tokens do not change, because the file cannot be used", "file", i.file.Path())
}
