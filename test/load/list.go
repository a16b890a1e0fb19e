package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/annex-dev/annex/test/framework/crowd"
)

const (
	// chunkSize is how many objects of a long list are asked for at a time, by
	// kubectl and here.
	chunkSize = 500
	// asTable is what `kubectl get` accepts.
	asTable = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
	// listRSSInterval is how often memory is read during the list.
	listRSSInterval = 10 * time.Millisecond
)

// measureList tells how long `kubectl get workspaces` takes for root, and by how
// much it makes the memory of the server grow. At least want have to be there.
func (b *bench) measureList(ctx context.Context, prefix string, want int) error {
	before, err := readRSS(b.pid())
	if err != nil {
		return err
	}
	var took time.Duration
	peak, err := peakRSS(b.pid(), listRSSInterval, func() error {
		start := time.Now()
		defer func() { took = time.Since(start) }()
		return b.countWorkspaces(ctx, want)
	})
	if err != nil {
		return err
	}
	b.report.add(prefix+"_list", took.Seconds(), unitSeconds)
	b.report.add(prefix+"_list_rss_growth", mib(max(0, peak-before)), unitMiB)
	return nil
}

// countWorkspaces lists the workspaces under root in chunks, of which it holds
// nothing. Fewer than want are an error.
func (b *bench) countWorkspaces(ctx context.Context, want int) error {
	c, err := crowd.Connect(b.target.admin)
	if err != nil {
		return err
	}
	defer c.Close()
	collection := crowd.ClusterURL(c.Config.Host, rootCluster) + "/apis/" + workspaces.Group + "/" + workspaces.Version + "/" + workspaces.Resource
	query := url.Values{"limit": {strconv.Itoa(chunkSize)}}
	count := 0
	for {
		var table struct {
			Kind     string
			Metadata struct{ Continue string }
			Rows     []struct{} // counted, and not decoded
		}
		err := fetch(ctx, c, collection+"?"+query.Encode(), asTable, func(r io.Reader) error {
			return json.NewDecoder(r).Decode(&table)
		})
		if err != nil {
			return fmt.Errorf("listing workspaces after %d: %w", count, err)
		}
		if table.Kind != "Table" {
			return fmt.Errorf("listing workspaces: the server answers with a %s, want a Table", table.Kind)
		}
		count += len(table.Rows)
		if table.Metadata.Continue == "" {
			break
		}
		query.Set("continue", table.Metadata.Continue)
	}
	if count < want {
		return fmt.Errorf("listing workspaces: there are %d, want %d", count, want)
	}
	return nil
}
