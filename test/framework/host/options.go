package host

// Option changes how a host is started.
type Option func(*options)

type options struct {
	args    []string
	noFsync bool
}

func newOptions(opts []Option) options {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// WithArgs appends flags to the command line of kube-apiserver, for example
// "--feature-gates=WatchList=true". Of two flags of the same name the last
// wins, so that defaults of this package can be changed, too.
func WithArgs(args ...string) Option {
	return func(o *options) { o.args = append(o.args, args...) }
}

// WithoutFsync lets etcd answer before its data is on disk. That is several
// times faster, and for data that nobody needs after a crash.
func WithoutFsync() Option {
	return func(o *options) { o.noFsync = true }
}
