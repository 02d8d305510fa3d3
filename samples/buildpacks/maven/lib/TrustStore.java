import java.io.BufferedInputStream;
import java.io.FileOutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;

/** Turns a file of PEM certificates into a trust store without a password: TrustStore CERTIFICATES.pem STORE.p12 */
final class TrustStore {
    private TrustStore() {}

    public static void main(String[] args) throws Exception {
        System.setProperty("keystore.pkcs12.certProtectionAlgorithm", "NONE");
        System.setProperty("keystore.pkcs12.macAlgorithm", "NONE");
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        try (var in = new BufferedInputStream(Files.newInputStream(Path.of(args[0])))) {
            int number = 0;
            for (Certificate certificate : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
                store.setCertificateEntry("certificate-" + number++, certificate);
            }
        }
        try (var out = new FileOutputStream(args[1])) {
            store.store(out, null);
        }
    }
}
