package etcd

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
)

const (
	// startTimeout bounds how long the embedded etcd may take to serve its data.
	startTimeout = time.Minute
	// A log is damaged if it is short in as many checks, one each interval: just after a start, etcd may not know its end yet.
	checkInterval, shortChecks = 100 * time.Millisecond, 20
	// longestSocketPath is what every system allows as the path of a Unix socket.
	longestSocketPath = 100
	lockFile          = "annex.lock"
	catchUpEntries    = 100
)

// Embedded is an etcd inside the process.
type Embedded struct {
	server   *embed.Etcd
	endpoint string
	socket   string
	lock     *fileutil.LockedFile
	// direct is nil until etcd is ready.
	direct *direct
	// leave ends what keeps the file small, and waits for that.
	leave func()
}

// StartEmbedded serves the data in dir, which is created with mode 0700 when missing. An error says what is wrong with dir,
// for instance that another process holds it.
func StartEmbedded(ctx context.Context, dir string) (*Embedded, error) {
	return startSized(ctx, dir, defaultSizes)
}

func startSized(ctx context.Context, dir string, sizes sizes) (*Embedded, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the directory of the embedded etcd: %w", err)
	}
	if err := checkData(dir); err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("closing the directory of the embedded etcd to others: %w", err)
	}
	lock, err := lockDirectory(dir)
	if err != nil {
		return nil, err
	}
	e := &Embedded{lock: lock}
	if err := e.start(ctx, dir, sizes); err != nil {
		e.Stop()
		return nil, err
	}
	return e, nil
}

// start runs etcd on dir; what it began is ended by Stop.
func (e *Embedded) start(ctx context.Context, dir string, sizes sizes) error {
	socket, err := socketPath(dir)
	if err != nil {
		return err
	}
	// One that a killed process left behind would keep etcd from listening.
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the old socket of the embedded etcd: %w", err)
	}
	config := embed.NewConfig()
	config.Name = "annex"
	config.Dir = dir
	// What goes wrong reaches the caller as an error, or ends the process with a line of its own; at its end etcd would log
	// its own closing as an error.
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(zapcore.NewNopCore(), zap.WithFatalHook(lastWords(dir)), zap.WithPanicHook(lastWords(dir))))
	config.ListenPeerUrls = nil
	config.ListenClientUrls = []url.URL{{Scheme: "unix", Path: socket}}
	config.AdvertiseClientUrls = config.ListenClientUrls
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.QuotaBackendBytes = sizes.quota
	config.MaxRequestBytes = maxRequestBytes
	// There is no other member that could have missed the last writes. By default the last 5,000 stay in memory, however large they are.
	config.SnapshotCatchUpEntries = catchUpEntries
	// The watch caches ask for progress to answer consistent reads; the default of ten minutes serves idle watches only.
	config.WatchProgressNotifyInterval = 5 * time.Second
	if e.server, err = open(ctx, config); err != nil {
		return fmt.Errorf("starting the embedded etcd on %s: %w", dir, err)
	}
	e.endpoint, e.socket = "unix://"+socket, socket
	if err := awaitReady(ctx, e.server); err != nil {
		return fmt.Errorf("starting the embedded etcd on %s: %w", dir, err)
	}
	e.direct = newDirect(e.server.Server)
	keeping, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var kept sync.WaitGroup
	kept.Go(func() { (&space{sizes: sizes, server: e.server.Server}).run(keeping) })
	e.leave = func() {
		cancel()
		kept.Wait()
	}
	return nil
}

// open reads the data and starts etcd. Etcd cannot be stopped while it reads: if ctx ends first, that happens afterwards, unless the
// process has ended by then.
func open(ctx context.Context, config *embed.Config) (*embed.Etcd, error) {
	type result struct {
		server *embed.Etcd
		err    error
	}
	opened := make(chan result, 1)
	go func() {
		server, err := embed.StartEtcd(config)
		opened <- result{server, err}
	}()
	select {
	case r := <-opened:
		return r.server, r.err
	case <-ctx.Done():
		go func() {
			if r := <-opened; r.err == nil {
				abandon(r.server)
			}
		}()
		return nil, ctx.Err()
	}
}

// abandon ends an etcd that is not ready. Its Close would wait for what begins when it is.
func abandon(server *embed.Etcd) {
	server.Server.Stop()
	for _, listener := range server.Clients {
		_ = listener.Close()
	}
}

// awaitReady returns when etcd serves its data, or why it does not.
func awaitReady(ctx context.Context, server *embed.Etcd) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("it is not ready after %s", startTimeout))
	defer cancel()
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	short := 0
	for {
		select {
		case <-server.Server.ReadyNotify():
			return nil
		case err := <-server.Err():
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
		if logIsShort(server) {
			if short++; short == shortChecks {
				return errors.New("the end of its write-ahead log is missing, and acknowledged writes with it: restore a backup or give another --root-directory")
			}
		} else {
			short = 0
		}
	}
}

// logIsShort reports whether etcd leads, and its log ends before what its database already contains. Etcd then ignores everything until
// the log is as long again, and waits for itself.
func logIsShort(server *embed.Etcd) bool {
	stored, _ := schema.ReadConsistentIndex(server.Server.Backend().ReadTx())
	return server.Server.Leader() != 0 && server.Server.CommittedIndex() < stored
}

// lastWords is the directory of an etcd that cannot go on, for instance with damaged data.
type lastWords string

// OnWrite implements zapcore.CheckWriteHook. Etcd would end the process itself, with a stack trace or no reason: it is often
// in a goroutine of its own then, so that nobody could be given an error.
func (dir lastWords) OnWrite(entry *zapcore.CheckedEntry, fields []zapcore.Field) {
	reason := entry.Message
	for _, field := range fields {
		if err, ok := field.Interface.(error); ok {
			reason += ": " + err.Error()
		}
	}
	fmt.Fprintf(os.Stderr, "annex: the embedded etcd on %s cannot go on: %s; free the disk if it is full, else restore a backup or give another --root-directory\n",
		string(dir), reason)
	os.Exit(1)
}

// checkData refuses a directory that holds something, but nothing that annex wrote. What it wrote holds its lock.
func checkData(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading the directory of the embedded etcd: %w", err)
	}
	for _, entry := range entries {
		if entry.Name() == lockFile {
			return nil
		}
	}
	if slices.ContainsFunc(entries, func(entry os.DirEntry) bool { return entry.Name() == "member" }) {
		return fmt.Errorf("%s holds the data of another etcd: give another --root-directory, or create the empty file %s in it if annex shall use it", dir, lockFile)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s holds %q, which annex did not write: give another --root-directory", dir, entries[0].Name())
	}
	return nil
}

// socketPath returns where the embedded etcd listens: beside its data, or in a directory of its own when that path is
// too long for a socket.
func socketPath(dir string) (string, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("finding the directory of the embedded etcd: %w", err)
	}
	if path := filepath.Join(absolute, "member", "client.sock"); len(path) <= longestSocketPath {
		return path, os.MkdirAll(filepath.Dir(path), 0o700)
	}
	short, err := os.MkdirTemp("", "annex")
	if err != nil {
		return "", fmt.Errorf("creating a directory for the socket of the embedded etcd: %w", err)
	}
	return filepath.Join(short, "client.sock"), nil
}

// NewClient returns a client in this process, which the caller closes. Its requests wait for hold, which may be nil.
func (e *Embedded) NewClient(hold *Hold, more ...grpc.DialOption) (*kubernetes.Client, error) {
	return NewClient(Endpoints{URLs: []string{e.endpoint}}, hold, append(slices.Clip(more), grpc.WithChainUnaryInterceptor(e.direct.intercept))...)
}

// Stop ends the etcd; close every client of it before. What was acknowledged is on disk.
func (e *Embedded) Stop() {
	if e.leave != nil {
		e.leave()
	}
	switch {
	case e.server == nil:
	case e.direct != nil:
		e.direct.close()
		e.server.Close()
	default:
		abandon(e.server)
	}
	if e.socket != "" {
		_ = os.Remove(e.socket)
	}
	_ = e.lock.Close()
}

// lockDirectory takes dir for this process until the file returned is closed, also by a crash. Etcd itself would wait
// for the other process without a word.
func lockDirectory(dir string) (*fileutil.LockedFile, error) {
	file, err := fileutil.TryLockFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	switch {
	case errors.Is(err, fileutil.ErrLocked):
		return nil, fmt.Errorf("another process uses %s: stop it, or give another --root-directory", dir)
	case err != nil:
		return nil, fmt.Errorf("locking the directory of the embedded etcd: %w", err)
	}
	return file, nil
}
