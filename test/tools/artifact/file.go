package artifact

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// CreationTime returns the time that everything in an artifact bears, in UTC and whole seconds: epoch, which is SOURCE_DATE_EPOCH in seconds
// since 1970, or that of the commit that b was built from if epoch is empty.
func CreationTime(epoch string, b *Binary) (time.Time, error) {
	if epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil || seconds < 0 {
			return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q: it must be a number of seconds since 1970", epoch)
		}
		return time.Unix(seconds, 0).UTC(), nil
	}
	stamp := b.Setting("vcs.time")
	if stamp == "" {
		return time.Time{}, fmt.Errorf("%s does not say of which commit it is: set SOURCE_DATE_EPOCH to the seconds since 1970 that the image shall bear", b.Path)
	}
	created, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the time of the commit in %s: %w", b.Path, err)
	}
	return created.UTC().Truncate(time.Second), nil
}

// ReplaceFile writes path through a file beside it, so that nobody reads half an archive.
func ReplaceFile(path string, write func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary, err := os.Create(path + ".part")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // after the rename there is none
	buffered := bufio.NewWriterSize(temporary, 1<<20)
	err = write(buffered)
	if err == nil {
		err = buffered.Flush()
	}
	if closed := temporary.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
