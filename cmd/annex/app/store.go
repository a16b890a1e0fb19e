package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/client/v3/kubernetes"
	"google.golang.org/grpc"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/server/etcd"
)

const (
	// verifyTimeout is how long etcd may take to say which data it has; verifyInterval the time before it is asked again.
	verifyTimeout, verifyInterval = 10 * time.Second, time.Second
	// observeTimeout and observeInterval are the same while the server runs.
	observeTimeout, observeInterval = 5 * time.Second, 2 * time.Second
	// meetTimeout is how long a server waits for an external etcd before it serves what it can without.
	meetTimeout = 2 * time.Second
)

// store is the etcd of the server.
type store struct {
	embedded *etcd.Embedded
	backend  *storage.Backend
	client   *kubernetes.Client
	others   []storage.Elsewhere // what is in other etcds
	prefix   string
	// encryption is how objects are stored; locked ends what it runs.
	encryption encryption
	lock       context.CancelFunc
	// hold is released when it is known whether this program can use etcd, and the data there.
	hold *etcd.Hold
	// forget ends the search for etcd.
	forget context.CancelFunc
}

// openStore prepares to use etcd, which need not be there yet unless it is the embedded one, and starts the watch caches.
func (o *Options) openStore(ctx context.Context, codec func(*storage.Config), dial ...grpc.DialOption) (*store, error) {
	raise := storage.RaiseVersion
	if o.Encryption.ConfigFile != "" {
		raise = storage.RaiseVersionToEncrypt
	}
	s, err := o.openEtcd(ctx, raise, dial...)
	if err != nil {
		return nil, err
	}
	if err := s.meet(ctx); err != nil {
		s.stop()
		return nil, err
	}
	config := storage.Config{Client: s.client, Elsewhere: s.others, Prefix: o.EtcdPrefix, Encryption: s.encryption.resources}
	codec(&config)
	if s.backend, err = storage.NewBackend(config); err != nil {
		s.stop()
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	return s, nil
}

// openEtcd returns a store without watch caches. It starts the embedded etcd unless there is an external one. Requests wait until it is
// known whether this program can use etcd, and what check says of the data there.
func (o *Options) openEtcd(ctx context.Context, check checkFunc, dial ...grpc.DialOption) (*store, error) {
	s := &store{hold: etcd.NewHold(), prefix: o.EtcdPrefix}
	// What is stored is encrypted and decrypted until the last watch cache has stopped.
	unlocked, lock := context.WithCancel(context.WithoutCancel(ctx))
	s.lock = lock
	var err error
	if s.encryption, err = o.Encryption.load(unlocked); err != nil {
		s.stop()
		return nil, err
	}
	if err := s.connect(ctx, o, dial...); err != nil {
		s.stop()
		return nil, err
	}
	if s.others, err = o.openOthers(s.hold, dial...); err != nil {
		s.stop()
		return nil, err
	}
	verifying, forget := context.WithCancel(ctx)
	s.forget = forget
	go func() {
		if s.verify(verifying, check) == nil && s.embedded == nil {
			s.observe(verifying)
		}
	}()
	return s, nil
}

// connect sets the client of the external etcd, or starts the embedded one.
func (s *store) connect(ctx context.Context, o *Options, dial ...grpc.DialOption) (err error) {
	if len(o.EtcdServers) > 0 {
		s.client, err = etcd.NewClient(o.endpoints(), s.hold, dial...)
		return err
	}
	if s.embedded, err = etcd.StartEmbedded(ctx, filepath.Clean(o.EmbeddedEtcdDirectory)); err != nil {
		return err
	}
	s.client, err = s.embedded.NewClient(s.hold, dial...)
	return err
}

// clients returns the clients of all etcds.
func (s *store) clients() []*kubernetes.Client {
	all := []*kubernetes.Client{s.client}
	for _, other := range s.others {
		all = append(all, other.Client)
	}
	return all
}

// servers returns the URLs of all etcds, for logs.
func (s *store) servers() []string {
	var all []string
	for _, client := range s.clients() {
		all = append(all, client.Endpoints()...)
	}
	return all
}

// endpoints returns where an external etcd is.
func (o *Options) endpoints() etcd.Endpoints {
	return etcd.Endpoints{URLs: o.EtcdServers, CAFile: o.EtcdCAFile, CertFile: o.EtcdCertFile, KeyFile: o.EtcdKeyFile}
}

// meet waits for etcd, but only briefly if it is another process.
func (s *store) meet(ctx context.Context) error {
	if s.embedded != nil {
		return s.wait(ctx)
	}
	briefly, cancel := context.WithTimeout(ctx, meetTimeout)
	defer cancel()
	err := s.wait(briefly)
	if ctx.Err() == nil && briefly.Err() != nil {
		return nil
	}
	return err
}

// wait returns when etcd has answered, has what is needed, and its data is of this version.
func (s *store) wait(ctx context.Context) error {
	if err := s.hold.Wait(ctx); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for etcd: %w", err)
		}
		return err
	}
	return nil
}

// checkFunc checks the version of the data: storage.CheckVersion, or storage.RaiseVersion, which also sets it.
type checkFunc func(ctx context.Context, client *kubernetes.Client, prefix string, elsewhere []storage.Elsewhere) error

// ask checks the version of the data.
func (s *store) ask(ctx context.Context, check checkFunc, timeout time.Duration) error {
	bounded, cancel := context.WithTimeout(etcd.Passing(ctx), timeout)
	defer cancel()
	return check(bounded, s.client, s.prefix, s.others)
}

// probe looks whether etcd has what is needed, and prints warnings about it.
func (s *store) probe(ctx context.Context) error {
	for _, client := range s.clients() {
		bounded, cancel := context.WithTimeout(etcd.Passing(ctx), verifyTimeout)
		report, err := etcd.Probe(bounded, client.Client, s.prefix, storage.OpsPerTxn)
		cancel()
		for _, warning := range report.Warnings {
			klog.FromContext(ctx).Error(nil, "Etcd needs attention", "warning", warning, "servers", client.Endpoints())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// verify releases the hold as soon as it is known whether etcd has what is needed, which version its data has, and the keys that decrypt it
// are there. The data comes second, because looking for its version may write one.
func (s *store) verify(ctx context.Context, check checkFunc) error {
	probed := false
	for reported := false; ; {
		var err error
		if !probed {
			err = s.probe(ctx)
			probed = err == nil
		}
		if probed {
			err = s.ask(ctx, check, verifyTimeout)
		}
		var version *storage.VersionError
		var placement *storage.PlacementError
		var lack *etcd.LackError
		why := "etcd does not answer. The server is not ready before it does: check that etcd is running and that --etcd-servers is correct"
		if err == nil {
			why = "The keys of --encryption-provider-config cannot be had. The server is not ready before it has them: check that the KMS plugin is running"
			err = s.encryption.ready(ctx)
		}
		if err == nil || errors.As(err, &version) || errors.As(err, &placement) || errors.As(err, &lack) || ctx.Err() != nil {
			s.hold.Release(err)
			return err
		}
		if !reported {
			reported = true
			klog.FromContext(ctx).Error(err, why, "servers", s.servers())
		}
		select {
		case <-ctx.Done():
		case <-time.After(verifyInterval):
		}
	}
}

// observe says when etcd does not answer any more, and when it answers again, until ctx ends.
func (s *store) observe(ctx context.Context) {
	var since time.Time // zero while it answers
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(observeInterval):
		}
		began := time.Now()
		err := s.ask(ctx, storage.CheckVersion, observeTimeout)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && since.IsZero():
			since = began
			klog.FromContext(ctx).Error(err, "etcd does not answer any more. Until it does, requests that need it are answered with 503 or 504, and /readyz fails", "servers", s.servers())
		case err == nil && !since.IsZero():
			klog.FromContext(ctx).V(1).Info("etcd answers again", "after", time.Since(since).Round(time.Second))
			since = time.Time{}
		}
	}
}

// stop stops all parts, each before the part that it depends on: watch caches, client, etcd.
func (s *store) stop() {
	if s.forget != nil {
		s.forget()
	}
	if s.backend != nil {
		s.backend.Destroy()
	}
	closeAll(s.others)
	if s.client != nil {
		_ = s.client.Close()
	}
	if s.embedded != nil {
		s.embedded.Stop()
	}
	s.lock()
}
