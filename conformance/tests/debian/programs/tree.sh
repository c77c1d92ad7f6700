# Coreutils, findutils, grep, sed, awk, tar and gzip over a tree of 10,000 files.
set -eu
umask 022
mkdir -p /tmp/work && cd /tmp/work
python3 - <<'END'
import os
for d in range(100):
    os.makedirs(f'tree/{d % 10}/{d}')
    for f in range(100):
        with open(f'tree/{d % 10}/{d}/file-{f}.txt', 'w') as out:
            out.write(f'{d} {f} ' + 'word ' * (f % 17) + '\n')
END
find tree -type f | wc -l
find tree -type f -name '*7.txt' -size -2 | sort | sha256sum
find tree -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum
grep -rc 'word word word' tree | awk -F: '{ s += $2 } END { print s }'
grep -rl '^5 ' tree | wc -l
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - tree | gzip -n9 > tree.tgz
sha256sum < tree.tgz
mkdir copy && tar xzf tree.tgz -C copy
diff -r tree copy/tree && echo same
find copy -type f -print0 | xargs -0 sed -i 's/word/sentence/g'
cat $(find copy -type f | sort) | md5sum
ls -lR --time-style=+ tree/3 | awk '/^-/ { print $1, $2, $3, $4, $5, $6 }' | sha256sum
cp -a tree second && rm -r tree && mv second tree
find tree -type d | wc -l
ln tree/0/0/file-0.txt hard && ln -s tree soft && stat -c '%h %F' hard soft
du -s --apparent-size tree/1/1 | cut -f2
wc -c $(find tree/9 -name 'file-9*' | sort) | tail -1
awk '{ n[$1]++ } END { for (d in n) print d, n[d] }' $(find tree -name '*.txt') | sort -n | cksum
chmod -R go-rwx tree && find tree -perm /077 | wc -l
touch -d @1000000000 hard && stat -c %Y hard && date -u -r hard +%FT%T
dd if=/dev/zero of=sparse bs=1 count=1 seek=1M status=none && stat -c '%s' sparse && truncate -s 10 sparse && wc -c < sparse
split -n 7 tree.tgz part- && cat part-* | cmp - tree.tgz && echo whole
rm -rf /tmp/work; ls /tmp/work 2>&1 || true
